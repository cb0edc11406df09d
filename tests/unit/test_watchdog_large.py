"""A large mesh: some peers are watched, the others cost nothing, and are there when they are needed."""

from __future__ import annotations

import pytest
from attrs import evolve

from mesh_watchdog.policy.anchors import ANCHORS, IN_RESERVE
from mesh_watchdog.policy.crowd import LARGE
from mesh_watchdog.policy.observations import Snapshot
from mesh_watchdog.policy.peer import SAMPLE
from mesh_watchdog.policy.relayed import Carried, Relaying
from mesh_watchdog.policy.watched import CARRIED, IN_USE
from sim import Node, World, at
from sim.scenes import back_after, mesh

BUDGET = 1000
"""Bytes in a second, each way, at 1,000 idle peers."""
FEW = 3 * ANCHORS
"""More than the anchors and what the sample asks in some minutes."""


def traffic(one: Node) -> tuple[int, int]:
    """Bytes received and sent so far."""
    tunnels = one.tunnels.values()
    return sum(tunnel.rx for tunnel in tunnels), sum(tunnel.tx for tunnel in tunnels)


def anchors(one: Node) -> list[str]:
    assert one.state
    return list(one.state.anchors["a"][:ANCHORS])


def bystander(one: Node) -> str:
    """A peer that is no anchor, was not asked yet, and is not about to be."""
    assert one.state
    return next(key for key in one.tunnels if key not in one.state.anchors["a"] and not one.probes[key])


@pytest.fixture
def large() -> tuple[World, Node]:
    world, one = mesh(LARGE)
    world.run(60)
    return world, one


def test_a_thousand_idle_peers_cost_less_than_a_kilobyte_a_second() -> None:
    world, one = mesh(1000)
    world.run(60)
    began, before = world.clock.now, traffic(one)
    world.run(600)
    received, sent = (after - then for after, then in zip(traffic(one), before, strict=True))
    assert received / (world.clock.now - began) <= BUDGET
    assert sent / (world.clock.now - began) <= BUDGET


def test_one_peer_less_and_all_are_asked() -> None:
    world, one = mesh(LARGE - 1)
    world.run(60)
    assert len(one.probes) == LARGE - 1


def test_the_anchors_are_asked_all_the_time_and_few_others(large: tuple[World, Node]) -> None:
    world, one = large
    world.run(300)
    assert all(one.probes[key] >= 5 for key in anchors(one))
    assert len(one.probes) < ANCHORS + LARGE * 360 / SAMPLE * 2


def test_nodes_have_different_anchors() -> None:
    world, one = mesh(LARGE)
    world.run(1)
    assert one.state
    other = world.nodes["p0"]
    other.watch({key: peer for key, peer in one.applied.peers.items() if key != "p0"})
    assert other.state
    assert set(other.state.anchors["p0"]) != set(one.state.anchors["a"])
    assert len(other.state.anchors["p0"]) == ANCHORS + IN_RESERVE


def test_each_peer_is_asked_about_once_an_hour(large: tuple[World, Node]) -> None:
    world, one = large
    always = set(anchors(one))
    world.run(SAMPLE + 60)
    assert len(one.probes) == LARGE
    assert all(count <= 2 for key, count in one.probes.items() if key not in always)


def test_a_machine_that_slept_for_hours_does_not_ask_all_at_once(large: tuple[World, Node]) -> None:
    world, one = large
    one._next += 1  # it looks no more
    world.run(2 * SAMPLE)
    one.probes.clear()
    one._observe(Snapshot(one.seen()))
    world.run(300)
    assert 1 <= len(one.probes) < FEW + LARGE * 400 / SAMPLE
    world.run(SAMPLE)
    assert len(one.probes) > LARGE * 0.9


def test_a_first_packet_works_at_once(large: tuple[World, Node]) -> None:
    world, one = large
    peer = bystander(one)
    one.ping(peer)
    world.run(1)
    assert one.pongs[peer]
    assert not one.probes[peer]


def test_a_peer_that_moved_is_found_by_whoever_sends_to_it(large: tuple[World, Node]) -> None:
    world, one = large
    peer = bystander(one)
    world.nodes[peer].site.renumber({4: "192.0.2.77"}, gagged=True)
    world.zone.set(f"{peer}.example", ["192.0.2.77"])
    world.run(20)
    now = world.clock.now
    world.traffic(one, peer)
    world.run(90)
    assert back_after(one, peer, now) < 60
    assert one.tunnels[peer].endpoint == at("192.0.2.77")


def test_for_a_peer_that_is_missed_its_own_anchors_are_asked(large: tuple[World, Node]) -> None:
    world, one = large
    peer = bystander(one)
    world.nodes[peer].site.renumber({4: "192.0.2.77"}, gagged=True)
    world.traffic(one, peer)
    world.run(30)
    assert one.state
    asked = {observer for _, call in one.calls if call.about == peer for observer in call.observers}
    assert asked
    assert asked <= set(one.state.anchors[peer])


def test_who_was_in_use_is_watched_for_three_minutes(large: tuple[World, Node]) -> None:
    world, one = large
    peer = bystander(one)
    for _ in range(100):
        for _ in range(4):
            one.ping(peer)
        world.run(0.5)
    world.run(IN_USE - 20)
    asked = one.probes[peer]
    assert asked >= 4
    world.run(SAMPLE / 3)
    assert one.probes[peer] <= asked + 2


def test_a_dead_peer_that_is_asked_in_its_turn_rests_afterwards(large: tuple[World, Node]) -> None:
    world, one = large
    always = set(anchors(one))
    for key, node in world.nodes.items():
        node.site.upstream = key in always or node is one
    world.run(300)
    before = traffic(one)[1]
    world.run(900)
    assert (traffic(one)[1] - before) / 900 < BUDGET
    assert not [key for key in always if one.phase(key) != "up"]


def test_of_a_crowd_that_relays_carry_few_are_asked_all_the_time(large: tuple[World, Node]) -> None:
    world, one = large
    always = set(anchors(one))
    carried = {key: Carried("relay", world.clock.now) for key in one.tunnels if key not in always}
    assert one.state
    one.state = evolve(one.state, relaying=Relaying(peers=carried))
    one.probes.clear()
    world.run(120)
    assert sum(count >= 3 for key, count in one.probes.items() if key not in always) == CARRIED


def test_another_one_takes_the_place_of_an_anchor_that_does_not_answer(large: tuple[World, Node]) -> None:
    world, one = large
    gone = anchors(one)[1]
    assert one.state
    reserve = one.state.anchors["a"][ANCHORS]
    world.nodes[gone].site.upstream = False
    world.run(300)
    assert one.probes[reserve] >= 5
    world.nodes[gone].site.upstream = True
    world.run(330)
    assert one.phase(gone) == "up"


def test_anchors_are_heard_again_after_an_outage_of_ours(large: tuple[World, Node]) -> None:
    world, one = large
    one.site.upstream = False
    world.run(600)
    one.site.upstream = True
    world.run(330)
    assert sum(one.phase(key) == "up" for key in anchors(one)) >= ANCHORS - 1


def test_when_our_address_changes_those_hear_of_it_that_may_send_to_the_old_one(large: tuple[World, Node]) -> None:
    world, one = large
    peer = bystander(one)
    one.ping(peer)
    world.run(30)
    one.site.renumber({4: "203.0.113.77"})
    one.moved()
    world.run(10)
    assert world.nodes[peer].tunnels["a"].endpoint == at("203.0.113.77")
    assert len(one.probes) < FEW + LARGE * 100 / SAMPLE
