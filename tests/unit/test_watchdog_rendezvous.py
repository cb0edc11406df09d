"""Peers behind NATs: found with the help of others, met in the same moment, and nothing else disturbed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from itertools import permutations
from typing import Any

import pytest

from mesh_watchdog.policy.nat_class import EASY, HARD, PUBLIC
from sim import Node, World, at, declared

R, R2 = "203.0.113.1", "192.0.2.7"


def behind_nats(
    count: int, *, seed: int = 1, apart: float = 3.0, latency: float = 0.02, public: int = 1, **nat: Any
) -> tuple[World, list[Node], list[Node]]:
    """A mesh of public nodes, and of nodes behind NATs without an endpoint; all have the watchdog."""
    world = World(seed)
    world.underlay.latency = latency
    open_ones = [world.node(f"r{number}", [R, R2][number]) for number in range(public)]
    hidden = [world.node(f"n{number}", f"198.51.{number}.2", nat=True, **nat) for number in range(count)]
    for number, node in enumerate(hidden):
        node.site.inner = (IPv4Address(f"192.168.{number}.2"),)
    for node in [*open_ones, *hidden]:
        world.run(apart * world.chance.random())
        join(node, open_ones, hidden)
    return world, open_ones, hidden


def join(node: Node, open_ones: list[Node], hidden: list[Node]) -> None:
    """Give a node its interface, with a tunnel to every other one, and start its watchdog."""
    peers = {}
    for other in open_ones:
        peers[other.name] = declared(other.name, [at(other.site.public[4])])
    for other in hidden:
        peers[other.name] = declared(other.name)
    peers.pop(node.name)
    for name, peer in peers.items():
        node.connect(name, str(peer.endpoint[0]) if peer.endpoint else "", 25.0 if node in hidden else 0.0)
    node.watch(peers)


def met(one: Node, other: Node) -> bool:
    """Whether both have a session with each other, without a relay."""
    return one.phase(other.name) == other.phase(one.name) == "up"


def until(world: World, happened: Callable[[], bool], limit: float = 60.0) -> float:
    """Let time go by until it has happened; return how long that took."""
    began = world.clock.now
    while not happened():
        assert world.clock.now - began < limit, "it never happened"
        world.run(0.05)
    return world.clock.now - began


def time_to_direct(seed: int, **nat: Any) -> float:
    """Seconds from when both have heard the public peer until they have a session with each other."""
    world, _, (one, other) = behind_nats(2, seed=seed, **nat)
    until(world, lambda: one.phase("r0") == other.phase("r0") == "up")
    return until(world, lambda: bool(one.tunnels["n1"].handshake and other.tunnels["n0"].handshake))


@pytest.mark.parametrize("accepts", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_two_peers_behind_nats_meet_within_a_second(accepts: bool, layers: int) -> None:
    times = [time_to_direct(seed, accepts=accepts, layers=layers) for seed in range(15)]
    assert statistics.median(times) <= 1.0, times
    assert max(times) <= 2.0, times


@pytest.mark.parametrize("latency", [0.001, 0.05, 0.15])
def test_they_meet_however_long_the_way_is(latency: float) -> None:
    times = [time_to_direct(seed, accepts=True, latency=latency) for seed in range(10)]
    assert statistics.median(times) <= 1.0 + 4 * latency, times


@pytest.mark.parametrize("late", ["n0", "n1"])
@pytest.mark.parametrize("seed", range(5))
def test_one_that_is_slow_to_act_is_waited_for(seed: int, late: str) -> None:
    """A packet that came before its opener would take its router's port for half a minute."""
    world, _, (one, other) = behind_nats(2, seed=seed, accepts=True)
    world.nodes[late].lag = 0.6
    until(world, lambda: bool(one.tunnels["n1"].handshake and other.tunnels["n0"].handshake), 6.0)


def test_where_three_routers_are_in_the_way_a_later_opener_passes_them() -> None:
    assert time_to_direct(1, layers=4) < 5.0


def test_one_behind_a_hard_nat_meets_none_but_public_peers_and_is_left_alone() -> None:
    world, _, (one, other) = behind_nats(2, public=2, hard=True)
    world.run(120)
    assert one.state
    assert other.state
    assert (one.state.rendezvous.nat, other.state.rendezvous.nat) == (HARD, HARD)
    assert not met(one, other)
    began, tried = world.clock.now, len(one.writes)
    world.run(600)
    assert not [action for moment, action in one.opened if moment > began], "hard to hard is not punched"
    assert len(one.writes) - tried <= 3


@pytest.mark.parametrize(("nat", "expected"), [({"hard": False}, EASY), ({"hard": True}, HARD)])
def test_two_observers_tell_the_class_of_the_nat_and_it_is_said_once(nat: dict[str, bool], expected: str) -> None:
    world, opened, (one,) = behind_nats(1, public=2, **nat)
    world.run(300)
    assert one.state
    assert one.state.rendezvous.nat == expected
    assert len([note for _, note in one.notes if "NAT" in note.text]) == 1
    assert opened[0].state
    assert opened[0].state.rendezvous.nat == PUBLIC


@pytest.mark.parametrize("seed", range(4))
def test_a_mesh_with_one_public_peer_becomes_fully_connected(seed: int) -> None:
    world, _, hidden = behind_nats(5, seed=seed, accepts=seed % 2 == 0)
    until(world, lambda: all(met(one, other) for one, other in permutations(hidden, 2)))


def talk(world: World, nodes: Iterable[Node]) -> None:
    """From now on every one of them pings every other."""
    for one, other in permutations(nodes, 2):
        world.traffic(one, other.name, 0.7)


def back(one: Node, other: Node, moment: float) -> bool:
    """Whether it was answered by another one since, and not by what was under way then."""
    return any(pong > moment + 0.1 for pong in one.pongs.get(other.name, []))


@pytest.mark.parametrize("noticed", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_all_but_one_renumbered_at_once_with_dns_frozen_heal_through_that_one(seed: int, noticed: bool) -> None:
    world, _, hidden = behind_nats(4, seed=seed)
    world.run(60)
    talk(world, hidden)
    for number, node in enumerate(hidden):
        node.site.renumber({4: f"198.18.{number}.9"})
        if noticed:
            node.moved()
    moved = world.clock.now
    took = until(world, lambda: all(back(one, other, moved) for one, other in permutations(hidden, 2)))
    assert took <= 10.0


@pytest.mark.parametrize("seed", range(8))
def test_a_nat_that_is_renumbered_is_met_again(seed: int) -> None:
    world, _, (one, other) = behind_nats(2, seed=seed)
    world.run(40)
    world.traffic(one, "n1")
    world.run(20)
    one.site.renumber({4: "198.18.7.7"})
    moved = world.clock.now
    assert until(world, lambda: back(one, other, moved)) <= 5.0


def test_two_in_one_lan_take_the_short_way() -> None:
    world = World()
    middle = world.node("r0", R)
    lan = world.node("n0", "198.51.0.2", nat=True), world.node("n1", "198.51.0.2", nat=True)
    for number, node in enumerate(lan):
        node.site.inner = (IPv4Address(f"192.168.7.{number + 2}"),)
        node.site.port += number
    for node in (middle, *lan):
        join(node, [middle], list(lan))
    world.run(5)
    first = [action for _, action in lan[0].calls if action.about == "n1"]
    assert "192.168.7.2:51820" in first[0].candidates
    tried = [write.endpoint for write in lan[0].writes]
    assert tried[0].startswith("192.168.7.3:"), "the LAN first"
