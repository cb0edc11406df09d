"""`relay = true`: who may be one, who is carried by it, and what people are told of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import git
from click.testing import CliRunner

from mesh_sync.cli.main import cli
from mesh_sync.mesh import manifest
from mesh_sync.mesh.render import Renderer
from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.node.desired import with_settings
from mesh_sync.trust.node_rights import EXTRA_KEYS, OWN_KEYS
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.forward_chains import BETWEEN
from unit.bad_list import MESH, Files, findings, peer

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HIDDEN: Files = {
    "mesh.toml": MESH,
    "peers/a.toml": peer(1, endpoint=None),
    "peers/b.toml": peer(2, endpoint=None),
    "peers/c.toml": peer(3),
}
RELAYED: Files = {**HIDDEN, "peers/r.toml": peer(9, relay="true")}


def desired(name: str, files: Files) -> Desired:
    mesh, wrong = manifest.read({path: str(text).encode() for path, text in files.items()})
    assert mesh
    assert not wrong
    return Renderer(mesh, NOW).desired(name)


def direct_only(found: Desired) -> set[str]:
    return {one.name for one in found.peers if one.direct_only}


def test_a_relay_can_be_reached_runs_mesh_sync_and_is_no_spoke() -> None:
    files = {**RELAYED, "peers/r.toml": peer(9, relay="true", via='"c"', endpoint=None, managed="false")}
    lines = [line for line in findings(files) if ":relay:" in line]
    assert lines == [
        "peers/r.toml:relay: a relay cannot itself be reached via another peer",
        "peers/r.toml:relay: a relay has to run mesh-sync: managed = false does not",
        "peers/r.toml:relay: a relay needs an endpoint, for others have to reach it",
    ]


def test_a_pair_without_endpoints_is_a_warning_until_there_is_a_relay() -> None:
    assert [line.split(":")[0] for line in findings(HIDDEN)] == ["peers/a.toml", "peers/b.toml"]
    assert findings(RELAYED) == []
    assert findings({**RELAYED, "peers/r.toml": peer(9, relay="true", enabled="false")}) != []


def test_a_phone_is_not_relayed_so_its_pairs_are_a_warning_still() -> None:
    files = {**RELAYED, "peers/b.toml": peer(2, endpoint=None, managed="false")}
    assert [line.split(":")[0] for line in findings(files)] == ["peers/b.toml"]


def test_an_expectation_can_rely_on_a_relay() -> None:
    expect = '[[expect]]\nfrom = "a"\nto = "b"\n'
    assert [line for line in findings({**HIDDEN, "mesh.toml": MESH + expect}) if "expect" in line]
    assert findings({**RELAYED, "mesh.toml": MESH + expect}) == []


def test_nodes_know_their_relays_and_the_peers_that_these_do_not_carry() -> None:
    files = {**RELAYED, "peers/s.toml": peer(8, relay="true")}
    files |= {"peers/phone.toml": peer(20, managed="false"), "peers/cam.toml": peer(21, via='"a"')}
    assert desired("a", files).relays == {"r", "s"}
    assert direct_only(desired("a", files)) == {"r", "s", "phone", "cam"}
    for never in ("r", "cam", "phone"):  # relays themselves, spokes, and what cannot change its placement
        assert desired(never, files).relays == frozenset()
    assert desired("a", HIDDEN).relays == frozenset()


def test_no_nodes_own_key_makes_it_a_relay() -> None:
    assert "relay" not in OWN_KEYS | EXTRA_KEYS


def test_a_relay_forwards_between_peers_and_nowhere_else() -> None:
    for name, relays in (("r", True), ("a", False)):
        found = with_settings(
            desired(name, RELAYED), Node(name=name, repository=Repository(urls=("x",)), trust=Trust(mode="none"))
        )
        assert (BETWEEN in found.passages) == relays
        assert ("net/ipv4/conf/wg0/forwarding" in found.sysctls) == relays
        assert any(rule.endswith("drop") for rule in found.firewall) == relays


def written(folder: Path, files: Files) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(str(text))
    return folder


def test_check_and_plan_say_what_a_relay_sees(tmp_path: Path) -> None:
    def said(*words: str) -> str:
        done = CliRunner().invoke(cli, [*words], standalone_mode=False)
        assert done.exception is None
        return done.output

    place = written(tmp_path, HIDDEN)
    repository = git.Repo.init(place)
    repository.git.add("--all")
    repository.git.commit("-q", "-m", "hidden")
    assert "sees them" not in said("check", str(place)) + said("plan", "HEAD", "-C", str(place))
    written(place, RELAYED)
    for words in (("check", str(place)), ("plan", "HEAD", "-C", str(place))):
        [line] = [line for line in said(*words).splitlines() if "sees them" in line]
        assert all(name in line for name in ("a, b", "relay r"))
    repository.git.add("--all")
    repository.git.commit("-q", "-m", "relayed")
    assert "sees them" not in said("plan", "HEAD", "-C", str(place))  # nothing about it changes
