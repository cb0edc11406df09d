"""Moving allowed IPs to a relay and back: what `wg` is told, and what it is never told."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.node import state as states
from mesh_sync.node.config import Node, Paths, Repository, Trust
from mesh_sync.node.state import Applied, State
from mesh_sync.system.lock import locked
from mesh_sync.wireguard import keys
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_watchdog import under_lock
from mesh_watchdog.act import Actor
from mesh_watchdog.birthday.rounds import Rounds
from mesh_watchdog.journal import Problems, Tally
from mesh_watchdog.mesh_dns.calls import Calls
from mesh_watchdog.mesh_dns.views import Views
from mesh_watchdog.news.messenger import Messenger
from mesh_watchdog.placing import carry, lead, nudge
from mesh_watchdog.policy.actions import Carry
from mesh_watchdog.policy.observations import Declared
from mesh_watchdog.policy.state import State as Believed
from mesh_watchdog.sense.dns_lookup import DnsLookup
from mesh_watchdog.sense.kernel_ways import KernelWays
from mesh_watchdog.under_lock import Changed
from unit.believed import peer as believed

PRIVATE = keys.generate()
B, C, R, S = (name * 43 + "=" for name in "BCRS")
OWN = {B: "10.0.0.2/32,192.168.2.0/24", C: "10.0.0.3/32", R: "10.0.0.8/32", S: "10.0.0.9/32"}


def peer(name: str, key: str, *, direct_only: bool = False) -> DesiredPeer:
    networks = OWN[key].split(",")
    return DesiredPeer(name, key, (networks[0][:-3],), frozenset(networks), direct_only=direct_only)


DESIRED = Desired(
    "lab", "a", keys.public_key(PRIVATE), 51820, 1420, frozenset({"10.0.0.1/32"}), frozenset({"10.0.0.0/24"}),
    (peer("b", B), peer("c", C, direct_only=True), peer("r", R, direct_only=True), peer("s", S, direct_only=True)),
    relays=frozenset({"r", "s"}),
)  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> Node:
    paths = Paths(state=tmp_path / "state", run=tmp_path / "run", wireguard=tmp_path / "wireguard")
    key_file = tmp_path / "key"
    key_file.touch(mode=0o600)
    key_file.write_text(PRIVATE + "\n")
    made = Node(
        name="a", repository=Repository(urls=("x",)), trust=Trust(mode="none"), paths=paths, private_key_file=key_file
    )
    states.save(made.state_file, State(Applied(desired=DESIRED)))
    return made


Interface = Callable[..., Callable[[], list[str]]]


@pytest.fixture
def interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Interface:
    """Put a `wg` on PATH whose interface has these peers with these allowed IPs; return what else it was told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def install(peers: dict[str, str], keepalive: str = "25") -> Callable[[], list[str]]:
        lines = [f"{PRIVATE}\t{keys.public_key(PRIVATE)}\t51820\toff"]
        where = "(none)\t203.0.113.2:51820"
        lines += [f"{key}\t{where}\t{ips or '(none)'}\t0\t0\t0\t{keepalive}" for key, ips in peers.items()]
        (folder / "dump").write_text("\n".join(lines) + "\n")
        (folder / "log").touch()
        script = f'#!/bin/sh\nif [ "$1" = show ]; then cat {folder}/dump; else echo "$@" >>{folder}/log; fi\n'
        (folder / "wg").write_text(script)
        (folder / "wg").chmod(0o755)
        return lambda: (folder / "log").read_text().splitlines()

    return install


def test_there_is_one_command_that_names_only_who_gets_something(node: Node, interface: Interface) -> None:
    told = interface(OWN)
    assert carry(node, {B: R}) == Changed(frozenset({B}))
    assert told() == [f"set wg0 peer {R} allowed-ips 10.0.0.2/32,10.0.0.8/32,192.168.2.0/24"]


def test_from_one_relay_to_the_other_and_back(node: Node, interface: Interface) -> None:
    told = interface({**OWN, B: "", R: f"{OWN[R]},{OWN[B]}"})
    assert carry(node, {B: S}) == Changed(frozenset({B}))
    assert carry(node, {B: ""}) == Changed(frozenset({B}))
    assert told() == [
        f"set wg0 peer {S} allowed-ips 10.0.0.2/32,10.0.0.9/32,192.168.2.0/24",
        f"set wg0 peer {B} persistent-keepalive 0 allowed-ips 10.0.0.2/32,192.168.2.0/24",
    ]


def test_what_is_there_already_is_not_moved_again(node: Node, interface: Interface) -> None:
    told = interface({**OWN, B: "", R: f"{OWN[R]},{OWN[B]}"})
    assert carry(node, {B: R}) == Changed(frozenset({B}))
    assert told() == []


@pytest.mark.parametrize("there", [{B: OWN[B], S: OWN[S]}, {R: OWN[R], S: OWN[S]}])
def test_no_peer_is_created(node: Node, interface: Interface, there: dict[str, str]) -> None:
    told = interface(there)
    assert carry(node, {B: R}) == Changed()
    assert told() == []


@pytest.mark.parametrize("moves", [{B: C}, {C: R}, {R: S}, {"X" * 43 + "=": R}, {B: "X" * 43 + "="}])
def test_only_a_relay_of_the_list_carries_only_whom_it_may(
    node: Node, interface: Interface, moves: dict[str, str]
) -> None:
    told = interface(OWN)
    assert carry(node, moves) == Changed()
    assert told() == []


def test_after_the_list_lost_its_relays_nothing_goes_there(node: Node, interface: Interface) -> None:
    states.save(node.state_file, State(Applied(desired=evolve(DESIRED, relays=frozenset()))))
    told = interface(OWN)
    assert carry(node, {B: R}) == Changed()
    assert told() == []


def test_while_mesh_sync_changes_the_interface_nothing_is_moved(
    node: Node, interface: Interface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_lock, "LOCK_WAIT", 0.05)
    told = interface(OWN)
    with locked(node.lock_file, 1):
        assert carry(node, {B: R}).problem
    assert told() == []


def test_a_move_is_announced_when_it_is_made_and_not_before(
    node: Node, interface: Interface, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(under_lock, "LOCK_WAIT", 0.05)
    interface(OWN)
    problems, tally = Problems(), Tally()
    state = Believed(peers={B: believed(declared=Declared("b", (), "10.0.0.2"))})
    views = Views("wg0", lambda: state)
    calls, rounds = Calls("wg0", views), Rounds("wg0", problems)
    messenger = Messenger(node, views, problems, Path("node.toml"))
    actor = Actor(
        node, problems, tally, DnsLookup(tally), KernelWays(problems), calls, rounds, messenger, views.chatter
    )
    move = Carry(B, R, "is reached through the relay r")

    async def carry_out() -> None:
        await actor.carry_out([move], state, state)

    with caplog.at_level(logging.INFO, "mesh_watchdog"):
        with locked(node.lock_file, 1):
            asyncio.run(carry_out())
        assert "is reached" not in caplog.text
        assert problems.present
        asyncio.run(carry_out())
    assert "b is reached through the relay r" in caplog.text


TWO = evolve(
    DESIRED,
    relays=frozenset({"r"}),
    gateways=(("192.168.2.0/24", ("b", "s")),),
)
"""The network behind b is behind s as well."""


def test_a_network_goes_to_its_other_gateway_and_back(node: Node, interface: Interface) -> None:
    states.save(node.state_file, State(Applied(desired=TWO)))
    told = interface(OWN)
    assert lead(node, {"192.168.2.0/24": S}) == Changed(frozenset({"192.168.2.0/24"}))
    interface({**OWN, B: "10.0.0.2/32", S: f"{OWN[S]},192.168.2.0/24"})
    assert lead(node, {"192.168.2.0/24": B}) == Changed(frozenset({"192.168.2.0/24"}))
    assert told() == [
        f"set wg0 peer {S} allowed-ips 10.0.0.9/32,192.168.2.0/24",
        f"set wg0 peer {B} allowed-ips 10.0.0.2/32,192.168.2.0/24",
    ]


def test_a_peer_that_is_relayed_does_not_take_along_what_another_gateway_has(node: Node, interface: Interface) -> None:
    states.save(node.state_file, State(Applied(desired=TWO)))
    told = interface({**OWN, B: "10.0.0.2/32", S: f"{OWN[S]},192.168.2.0/24"})
    assert carry(node, {B: R}) == Changed(frozenset({B}))
    assert told() == [f"set wg0 peer {R} allowed-ips 10.0.0.2/32,10.0.0.8/32"]


@pytest.mark.parametrize("moves", [{"192.168.2.0/24": C}, {"192.168.3.0/24": S}, {"192.168.2.0/24": "X" * 43 + "="}])
def test_only_to_gateways_of_the_list(node: Node, interface: Interface, moves: dict[str, str]) -> None:
    states.save(node.state_file, State(Applied(desired=TWO)))
    told = interface(OWN)
    assert lead(node, moves) == Changed()
    states.save(node.state_file, State(Applied(desired=DESIRED)))
    assert lead(node, {"192.168.2.0/24": S}) == Changed()
    assert told() == []


def test_a_nudge_goes_to_peers_that_are_listed_and_there(node: Node, interface: Interface) -> None:
    told = interface({B: "", R: f"{OWN[R]},{OWN[B]}"})
    gone = "X" * 43 + "="
    assert nudge(node, frozenset({B, S, gone})) == Changed(frozenset({B}))
    assert told() == [f"set wg0 peer {B} persistent-keepalive 0 peer {B} persistent-keepalive 25"]


def test_a_nudge_leaves_a_peer_without_a_keepalive_without_one(node: Node, interface: Interface) -> None:
    told = interface({B: OWN[B]}, keepalive="off")
    assert nudge(node, frozenset({B})) == Changed(frozenset({B}))
    assert told() == [f"set wg0 peer {B} persistent-keepalive 25 peer {B} persistent-keepalive 0"]
