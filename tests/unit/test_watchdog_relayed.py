"""What becomes of a pair that is relayed: which relay carries it, and until when, decided without a network."""

from __future__ import annotations

import pytest
from attrs import evolve

from mesh_watchdog.policy import relaying
from mesh_watchdog.policy.actions import Carry, Probe
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.observations import Applied, Here, Reported, Sighting
from mesh_watchdog.policy.peer import SEARCHING, UP
from mesh_watchdog.policy.relayed import Carried
from unit.relay_world import FIRST, PEERS, SECOND, WHERE, A, B, R, S, World, relayed


@pytest.fixture
def world() -> World:
    return World()


# -- while it is relayed


def test_the_other_end_is_told_again_and_ever_less_often() -> None:
    world = relayed()
    for _ in range(600):
        world.look()
    assert 24 <= len(world.told()) <= 30
    assert world.carries == []


def test_where_hundreds_are_relayed_their_other_ends_are_told_ever_less_often() -> None:
    world = relayed()
    crowd = {f"k{number}": Carried(FIRST, 0.0, readings=relaying.READINGS) for number in range(599)}
    known = world.state.relaying
    world.state = evolve(world.state, relaying=evolve(known, peers={**known.peers, **crowd}))
    for _ in range(650):
        world.look()
    assert len(world.told()) == len(relaying.TELL_AGAIN) + 1


def test_when_the_relay_dies_the_second_one_carries_at_once() -> None:
    world = relayed()
    world.phase(FIRST, SEARCHING, asked=world.moment)
    world.look(0.1)
    assert world.carries == [(B, SECOND)]
    assert world.told() == [(SECOND,)]


def test_without_a_second_one_it_stays_where_it_is() -> None:
    world = relayed()
    for relay in (R, S):
        world.phase(relay, SEARCHING, asked=world.moment)
    world.look(0.1)
    assert world.carries == []


def test_a_relay_that_no_longer_sees_the_peer_is_left_for_one_that_does() -> None:
    world = relayed()
    world.report(FIRST, age=None)
    assert world.carries == [(B, SECOND)]
    world.report(SECOND, age=None)
    world.look()
    assert world.carries == [(B, SECOND)], "no relay sees it: nothing is gained by moving"


# -- and back


def test_a_direct_sign_of_life_takes_it_back() -> None:
    world = relayed()
    world.look()
    assert world.carries == []
    world.look(1.0, B)
    assert world.carries == [(B, "")]
    assert world.state.peers[B].phase == UP


def test_what_was_received_before_it_was_carried_is_no_direct_path(world: World) -> None:
    world.report(FIRST)
    world.look(0.1, B)
    assert world.placed == {B: FIRST}
    assert Probe(B) in world.look(0.1), "if there is one, both ends' packets show it"
    world.look(0.1, B)
    assert world.placed == {}


def test_a_direct_path_that_does_not_last_is_trusted_ever_later() -> None:
    world, holds = relayed(), []
    for _ in range(5):
        began = world.moment
        while world.placed:
            world.look(1.0, B)
        holds.append(world.moment - began)
        world.phase(B, SEARCHING, asked=world.moment - 60)
        world.look(), world.report(FIRST)
        assert world.placed == {B: FIRST}
    assert holds == sorted(holds)
    assert holds[-1] > 30


def test_what_could_not_be_moved_is_not_believed_to_be() -> None:
    world = World()
    before = world.state
    world.moment += 1
    after, actions = decide(world.state, Reported(FIRST, B, (Sighting(WHERE),)), world.moment)
    assert [action for action in actions if isinstance(action, Carry)]
    assert relaying.taken_back(before, after, frozenset({B})).relaying.peers == {}


# -- what the interface shows


def test_a_watchdog_that_was_restarted_finds_who_is_relayed() -> None:
    world = World()
    world.placed = {B: SECOND}
    world.look()
    assert world.state.relaying.relay_of(B) == SECOND
    assert world.carries == []
    assert world.told() == [(SECOND,)]


def test_what_others_took_back_is_not_believed_to_be_relayed() -> None:
    world = relayed()
    world.placed.clear()
    world.look(2)
    assert world.carries == [(B, FIRST)], "it is missed still"
    world.phase(B, UP)
    world.placed.clear()
    world.look(2)
    assert world.state.relaying.relay_of(B) == ""


def test_without_relays_on_the_list_nothing_is_remembered() -> None:
    world = relayed()
    world.see(Applied({key: evolve(peer, relay=False) for key, peer in PEERS.items()}, here=Here("a", A)))
    world.placed.clear()
    world.look(2)
    assert world.state.relaying == type(world.state.relaying)()
