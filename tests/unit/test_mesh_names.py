"""Names of peers for this machine's programs: lines in /etc/hosts or a word to systemd-resolved, and nothing left."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.names.hosts_block import block, with_block
from mesh_sync.node.config import Dns, Node, Paths, Repository, Trust
from mesh_sync.node.state import State
from mesh_sync.reconcile import mesh_names
from mesh_sync.reconcile.drift import difference
from mesh_sync.system import run
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.live import Live

PEERS = (
    DesiredPeer("azure", "KA", ("10.0.0.2", "fd00::2"), frozenset()),
    DesiredPeer("gcp", "KG", ("10.0.0.3",), frozenset()),
)
DESIRED = Desired("lab", "aws", "K", 51820, 1420, frozenset({"10.0.0.1/32"}), frozenset(), PEERS)
BEGIN, END = "# BEGIN mesh-sync lo: written by mesh-sync, changes are lost\n", "# END mesh-sync lo\n"
AWS = "10.0.0.1 aws.mesh.internal\n"
REST = "10.0.0.2 azure.mesh.internal\nfd00::2 azure.mesh.internal\n10.0.0.3 gcp.mesh.internal\n"
BLOCK = BEGIN + AWS + REST + END
OTHERS = "127.0.0.1 localhost\n\n# by hand\n192.0.2.1 printer\n"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Its interface is one that every machine has."""
    hosts = tmp_path / "etc/hosts"
    hosts.parent.mkdir()
    hosts.write_text(OTHERS)
    hosts.chmod(0o640)
    paths = Paths(state=tmp_path / "state", run=tmp_path / "run", wireguard=tmp_path / "wireguard", hosts=hosts)
    return Node(name="aws", interface="lo", repository=Repository(urls=("x",)), trust=Trust(mode="none"), paths=paths)


def using(node: Node, names: str) -> Node:
    return evolve(node, dns=Dns(names=names))  # type: ignore[arg-type]


def bring(node: Node, desired: Desired = DESIRED) -> tuple[str, ...]:
    """Carry out what there is to do; then there is nothing to do, unless something was refused."""
    refused = mesh_names.bring_about(node, desired, frozenset(each.value for each in mesh_names.drift(node, desired)))
    assert refused or not list(mesh_names.drift(node, desired))
    return refused


@pytest.fixture
def resolvectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What it was called with, a line each."""
    folder, log = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    log.touch()
    program = folder / "resolvectl"
    program.write_text(f'#!/bin/sh\necho "$*" >>{log}\n')
    program.chmod(0o755)
    monkeypatch.setattr(run, "PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return log


def test_unless_wished_for_nothing_is_touched(node: Node, resolvectl: Path) -> None:
    assert list(mesh_names.drift(node, DESIRED)) == []
    assert mesh_names.take_away(node) == ()
    assert (node.paths.hosts.read_text(), resolvectl.read_text()) == (OTHERS, "")


def test_a_peer_that_changes_its_key_has_one_name_and_that_is_no_drift(node: Node) -> None:
    node, changing = using(node, "hosts"), evolve(PEERS[0], next_public_key="KN")
    desired = evolve(DESIRED, peers=(changing, PEERS[1]))
    for changes in ([mesh_names.KIND], []):
        found = [each for each in difference(node, desired, State(), Live(), 0.0) if each.kind == mesh_names.KIND]
        assert [each.kind for each in found] == changes
        assert mesh_names.bring_about(node, desired, frozenset(each.value for each in found)) == ()
    assert node.paths.hosts.read_text() == OTHERS + BLOCK


def test_the_hosts_file_gets_a_block_and_loses_it_again(node: Node) -> None:
    node = using(node, "hosts")
    assert bring(node) == ()
    assert node.paths.hosts.read_text() == OTHERS + BLOCK
    assert node.paths.hosts.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in node.paths.hosts.parent.iterdir()) == ["hosts"]
    assert mesh_names.take_away(node) == ()
    assert node.paths.hosts.read_text() == OTHERS


def test_what_others_write_after_it_stays_where_it_is(node: Node) -> None:
    node = using(node, "hosts")
    bring(node)
    with node.paths.hosts.open("a") as file:
        file.write("192.0.2.9 new\n")
    bring(node, evolve(DESIRED, peers=()))
    assert node.paths.hosts.read_text() == OTHERS + BEGIN + AWS + END + "192.0.2.9 new\n"
    bring(using(node, "none"))
    assert node.paths.hosts.read_text() == OTHERS + "192.0.2.9 new\n"


def test_a_block_that_was_changed_by_hand_is_drift(node: Node) -> None:
    node = using(node, "hosts")
    bring(node)
    node.paths.hosts.write_text(node.paths.hosts.read_text().replace("10.0.0.3 gcp", "10.0.0.66 gcp"))
    [change] = mesh_names.drift(node, DESIRED)
    assert change.kind == "names"
    bring(node)
    assert node.paths.hosts.read_text() == OTHERS + BLOCK


def test_a_machine_without_the_file_gets_one_that_all_can_read(node: Node) -> None:
    node.paths.hosts.unlink()
    bring(using(node, "hosts"))
    assert node.paths.hosts.stat().st_mode & 0o777 == 0o644


def test_a_link_stays_a_link(node: Node) -> None:
    real = node.paths.hosts.rename(node.paths.hosts.with_name("real"))
    node.paths.hosts.symlink_to(real)
    bring(using(node, "hosts"))
    assert node.paths.hosts.is_symlink()
    assert real.read_text() == OTHERS + BLOCK


def test_what_cannot_be_written_is_said(node: Node) -> None:
    node = using(evolve(node, paths=evolve(node.paths, hosts=Path("/proc/sys/kernel/ostype"))), "hosts")
    [refused] = bring(node)
    assert "/proc/sys/kernel/ostype cannot be written" in refused


@given(st.binary(), st.lists(st.sampled_from(["10.0.0.1 a", "10.0.0.2 b"])), st.lists(st.just("10.0.0.3 c")))
def test_no_byte_of_others_is_lost(text: bytes, first: list[str], second: list[str]) -> None:
    one, other = block("wg0", first), block("wg0", second)
    done = with_block(with_block(with_block(text, "wg0", one), "wg0", other), "wg0", b"")
    assert done.rstrip(b"\n") == text.rstrip(b"\n")


def test_a_block_without_an_end_takes_nothing_with_it() -> None:
    cut = block("wg0", ["10.0.0.1 a"]).rpartition(b"# END")[0] + b"192.0.2.1 printer\n"
    done = with_block(cut, "wg0", block("wg0", ["10.0.0.2 b"]))
    assert b"192.0.2.1 printer\n" in done
    assert done.count(b"# BEGIN") == done.count(b"# END") == 1


# -- systemd-resolved


def test_resolved_is_told_to_ask_this_node_for_the_zone_and_nothing_else(node: Node, resolvectl: Path) -> None:
    node = using(node, "resolved")
    assert bring(node) == ()
    assert resolvectl.read_text().splitlines() == [
        "dns lo 10.0.0.1", "domain lo ~mesh.internal", "default-route lo no", "dnssec lo no", "dnsovertls lo no",
    ]  # fmt: skip
    resolvectl.write_text("")
    assert list(mesh_names.drift(node, DESIRED)) == []
    for _ in range(2):
        assert mesh_names.take_away(node) == ()
        assert resolvectl.read_text() == "revert lo\n"


def test_another_interface_of_the_name_is_told_again(node: Node, resolvectl: Path) -> None:
    node = using(node, "resolved")
    bring(node)
    node.names_file.write_text(node.names_file.read_text().replace('"device": 1', '"device": 77'))
    [change] = mesh_names.drift(node, DESIRED)
    assert change.value == "resolved"


def test_another_zone_is_told_and_another_wish_takes_it_back(node: Node, resolvectl: Path) -> None:
    bring(using(node, "resolved"))
    bring(using(node, "resolved"), evolve(DESIRED, zone="corp.example"))
    assert "domain lo ~corp.example" in resolvectl.read_text()
    bring(using(node, "hosts"))
    assert resolvectl.read_text().splitlines()[-1] == "revert lo"
    assert "aws.mesh.internal" in node.paths.hosts.read_text()


def test_without_resolved_the_mesh_works_all_the_same(
    node: Node, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run, "PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    [refused] = bring(using(node, "resolved"))
    assert "resolvectl is not installed" in refused
    assert not node.names_file.exists()
