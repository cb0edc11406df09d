"""The watchdog's edges, each by itself: files, settings, messages, and a `wg` that logs what it is told."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import evolve

from mesh_sync.errors import CommandError, ConfigError
from mesh_sync.node import state as states
from mesh_sync.node.config import Node, Trust
from mesh_sync.node.state import Intent, Pause
from mesh_sync.system.lock import locked
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.wireguard.underlay import Reach
from mesh_sync.wireguard.ways import Way
from mesh_watchdog import act, under_lock
from mesh_watchdog.journal import notify, ping_interval
from mesh_watchdog.policy.actions import SetEndpoint
from mesh_watchdog.policy.observations import Applied, Declared, Here, Seen
from mesh_watchdog.sense import applied_state, wg_counters
from mesh_watchdog.settings import Settings, settings_of
from mesh_watchdog.under_lock import Changed
from unit.believed import ALIVE, KEY, OTHER, applied_node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return applied_node(tmp_path)


@pytest.fixture
def wg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Seen]], Path]:
    """Put a `wg` on PATH that shows these peers, and logs what else it is told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def install(peers: dict[str, Seen]) -> Path:
        lines = ["secret\tme\t51820\toff"]
        lines += [f"{k}\t(none)\t{s.endpoint}\t(none)\t{s.handshake}\t{s.rx}\t{s.tx}\toff" for k, s in peers.items()]
        (folder / "dump").write_text("\n".join(lines) + "\n")
        log = folder / "log"
        log.touch()
        script = f'#!/bin/sh\nif [ "$1" = show ]; then cat {folder}/dump; else echo "$@" >>{log}; fi\n'
        (folder / "wg").write_text(script)
        (folder / "wg").chmod(0o755)
        return log

    return install


# -- the applied state


def test_the_applied_state_becomes_peers_with_a_mesh_address_to_probe(node: Node) -> None:
    applied = applied_state.take(node)
    assert applied
    declared = applied.peers[KEY]
    address, allowed = ("10.0.0.12",), ("10.0.0.12/32",)
    endpoint = Endpoint("b.example", 51820)
    known = Declared("b", (endpoint,), "10.0.0.12", "203.0.113.12:51820", address, allowed)
    assert declared == evolve(known, pair_name="b")
    assert applied.here == Here("a", "me", "", ("10.0.0.11",), 51820, "mesh.internal", "a")
    own_network, peers_address = (ipaddress.ip_address(text) for text in ("10.0.0.99", "10.0.0.12"))
    assert applied.tunnel.reach(own_network, Way("eth0")) is Reach.INSIDE
    assert applied.carriers.find(peers_address) == (ipaddress.ip_network("10.0.0.12/32"), KEY)


def test_an_endpoint_that_the_version_before_has_applied_and_no_peer_can_have_is_left_out(node: Node) -> None:
    text = node.state_file.read_text()
    assert "b.example:51820" in text
    node.state_file.write_text(text.replace("b.example:51820", "240.0.0.1:51820"))
    applied = applied_state.take(node)
    assert applied
    assert applied.peers[KEY].endpoint == ()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1}', b"\xff"])
def test_a_broken_state_file_is_lost_and_a_missing_one_is_not(node: Node, content: bytes) -> None:
    node.state_file.write_bytes(content)
    assert applied_state.take(node) is None
    node.state_file.unlink()
    assert applied_state.take(node) == Applied({})


@pytest.mark.parametrize(
    ("mode", "silent", "paused", "alone"),
    [("signed", True, False, True), ("signed", False, False, False), ("signed", True, True, False),
     ("none", True, False, False)],
)  # fmt: skip
def test_who_verifies_signatures_is_alone_while_no_remote_answers(
    node: Node, mode: Literal["signed", "none"], silent: bool, paused: bool, alone: bool
) -> None:
    state = states.load(node.state_file)
    remote = evolve(state.remote, silent_since=1.0 if silent else None)
    states.save(node.state_file, evolve(state, remote=remote, intent=Intent(Pause(1.0) if paused else None)))
    _, learnt = applied_state._read(evolve(node, trust=Trust(mode=mode)))
    assert learnt.alone == alone


# -- setting endpoints


def test_all_endpoints_of_a_decision_are_set_by_one_command(node: Node, wg: Callable[[dict[str, Seen]], Path]) -> None:
    log = wg({KEY: ALIVE})
    result = act.set_endpoints(node, [SetEndpoint(KEY, "203.0.113.77:51820", "dns")], {KEY: ALIVE})
    assert result.done == {KEY}
    assert log.read_text() == f"set wg0 peer {KEY} endpoint 203.0.113.77:51820\n"


@pytest.mark.parametrize("change", [{"rx": 1001}, {"handshake": 1_700_000_001}])
def test_a_peer_that_was_heard_since_the_decision_is_left_alone(
    node: Node, wg: Callable[[dict[str, Seen]], Path], change: dict[str, int]
) -> None:
    fields = {"endpoint": ALIVE.endpoint, "handshake": ALIVE.handshake, "rx": ALIVE.rx, "tx": ALIVE.tx, **change}
    log = wg({KEY: Seen(**fields)})  # type: ignore[arg-type]
    result = act.set_endpoints(node, [SetEndpoint(KEY, "203.0.113.77:51820", "dns")], {KEY: ALIVE})
    assert result == Changed(alive=frozenset({KEY}))
    assert log.read_text() == ""


def test_a_key_that_left_the_list_or_the_interface_is_never_written(
    node: Node, wg: Callable[[dict[str, Seen]], Path]
) -> None:
    """`wg set` would create it."""
    log = wg({OTHER: ALIVE})
    points = [SetEndpoint(KEY, "203.0.113.77:51820", "dns"), SetEndpoint(OTHER, "203.0.113.77:51820", "dns")]
    assert act.set_endpoints(node, points, {KEY: ALIVE, OTHER: ALIVE}).done == set()
    assert log.read_text() == ""


def test_nothing_is_written_while_mesh_sync_has_the_lock(
    node: Node, wg: Callable[[dict[str, Seen]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = wg({KEY: ALIVE})
    monkeypatch.setattr(under_lock, "LOCK_WAIT", 0.1)
    with locked(node.lock_file):
        result = act.set_endpoints(node, [SetEndpoint(KEY, "203.0.113.77:51820", "dns")], {KEY: ALIVE})
    assert not result.done
    assert log.read_text() == ""
    assert "mesh-sync" in result.problem


# -- reading


def test_a_missing_wg_and_a_missing_interface_are_different_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="wg is not installed"):
        wg_counters.read("wg0")
    fake = tmp_path / "wg"
    fake.write_text("#!/bin/sh\necho 'Unable to access interface: Protocol not supported' >&2; exit 1\n")
    fake.chmod(0o755)
    assert wg_counters.read("no-such-if") is None
    with pytest.raises(CommandError, match="Protocol not supported"):
        wg_counters.read("lo")


def test_what_wg_prints_is_never_part_of_an_error() -> None:
    with pytest.raises(ValueError, match=r".") as error:
        wg_counters.seen("secret\tme\t51820\toff\nk\tpsk-secret\n")
    assert "secret" not in str(error.value)


# -- settings


def with_table(node: Node, table: Any) -> Node:
    from attrs import evolve

    return evolve(node, watchdog=table)


def test_every_interval_has_a_default(node: Node) -> None:
    assert settings_of(node, Path("node.toml")) == Settings()


def test_everything_wrong_with_the_table_is_said_at_once(node: Node) -> None:
    table = {"idle_interval": "5", "metrics_listen": "0.0.0.0:9586", "metrics_file": "x", "nope": 1}
    with pytest.raises(ConfigError) as error:
        settings_of(with_table(node, table), Path("node.toml"))
    lines = error.value.message.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"node.toml:watchdog.{key}" for key in table]
    with pytest.raises(ConfigError, match="must be a table"):
        settings_of(with_table(node, 3), Path("node.toml"))


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "localhost:1", "127.0.0.1:0", "127.0.0.1:x", "[::1]:99999", "10.0.0.1:1"]
)
def test_metrics_are_served_on_a_loopback_address_only(node: Node, text: str) -> None:
    with pytest.raises(ConfigError):
        settings_of(with_table(node, {"metrics_listen": text}), Path("node.toml"))
    assert settings_of(with_table(node, {"metrics_listen": "[::1]:9586"}), Path("x")).metrics_listen == ("::1", 9586)


# -- systemd


def test_systemd_is_told_and_its_absence_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "notify"
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(place))
    notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(place))
        notify("READY=1", "STATUS=watching")
        assert systemd.recv(100) == b"READY=1\nSTATUS=watching"


def test_pings_come_twice_as_often_as_systemd_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ping_interval() == 0
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    assert ping_interval() == 30
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert ping_interval() == 0


def test_watchdog_is_still_the_library() -> None:
    import watchdog.observers

    assert "site-packages" in str(watchdog.observers.__file__)
    for folder in ("sync", "watchdog"):
        assert not (Path(__file__).parents[2] / folder / "__init__.py").exists()
