"""Whom a relay carries, and which one: both ends of a pair, decided without a network."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.wireguard.ways import Way, Ways
from mesh_watchdog.policy import relaying
from mesh_watchdog.policy.actions import Call, Probe
from mesh_watchdog.policy.nat_class import EASY, HARD, PUBLIC, UNKNOWN
from mesh_watchdog.policy.observations import Reported, Routed, Sighting, Snapshot, Sought, Standing
from mesh_watchdog.policy.peer import NEW, SEARCHING, UP
from mesh_watchdog.policy.relayed import Carried
from unit.relay_world import FIRST, SECOND, WHERE, B, C, R, S, World, seen


@pytest.fixture
def world() -> World:
    return World()


# -- there


def test_relays_are_asked_and_the_first_that_sees_the_peer_carries_it(world: World) -> None:
    world.look()
    assert any({R, S} <= set(asked) for asked in world.told(relayed=False))
    assert world.carries == []
    world.report(SECOND)
    assert world.carries == [(B, SECOND)], "the first has not answered"


def test_both_see_it_so_the_first_one_of_the_order_carries_it(world: World) -> None:
    world.see(Reported(SECOND, B, ()))
    world.report(FIRST)
    assert world.carries == [(B, FIRST)]
    assert world.told() == [(FIRST,)], "and the other end hears it through that relay"


def test_it_is_not_carried_before_a_direct_path_had_its_time() -> None:
    world = World(silent=1.0)
    world.look(0.5)
    world.report(FIRST)
    assert world.carries == []
    world.look(1.5)
    assert world.carries == [(B, FIRST)]


@pytest.mark.parametrize(("ours", "theirs", "soon"), [
    (HARD, EASY, True), (EASY, HARD, True), (HARD, HARD, True),
    (EASY, EASY, False), (HARD, PUBLIC, False), (HARD, "", False), (UNKNOWN, HARD, False),
])  # fmt: skip
def test_a_pair_that_is_hardly_met_directly_waits_less(ours: str, theirs: str, soon: bool) -> None:
    world = World(silent=0.5)
    known = evolve(world.state.birthday, said={B: (world.moment, Standing(theirs))})
    world.state = evolve(world.state, birthday=known, rendezvous=evolve(world.state.rendezvous, nat=ours))
    world.report(FIRST)
    assert world.carries == []
    world.look(0.6)
    assert bool(world.carries) == soon


def test_a_peer_that_was_heard_before_waits_less() -> None:
    world = World(silent=1.0)
    world.phase(B, SEARCHING, asked=world.moment - 1.0, lived=True)
    world.look(0.1)
    world.report(FIRST)
    assert world.carries == []
    world.look(0.5)
    assert world.carries == [(B, FIRST)]


def test_a_machine_that_is_off_is_not_carried_and_asked_about_ever_less_often(world: World) -> None:
    for _ in range(1200):
        for call in world.look(3.0):
            if isinstance(call, Call) and call.about == B:
                world.report(FIRST, age=None), world.report(SECOND, age=400.0)
    assert world.carries == []
    assert len(world.told(relayed=False)) < 70


def test_a_relay_that_passes_on_a_search_sees_who_searches(world: World) -> None:
    world.see(Sought(B, FIRST, (Sighting(WHERE, 1.0),)))
    assert world.carries == [(B, FIRST)]


def test_a_relay_does_not_see_whoever_only_says_where_it_is(world: World) -> None:
    world.see(Sought(B, FIRST, (Sighting(WHERE, own=True),)))
    assert world.carries == []


def test_what_a_peer_says_of_itself_is_not_that_the_relay_sees_it(world: World) -> None:
    world.report(FIRST, own=True)
    assert world.carries == []


def test_a_relay_that_is_not_up_carries_nothing(world: World) -> None:
    world.phase(FIRST, SEARCHING, asked=world.moment)
    world.report(FIRST)
    assert world.carries == []


def test_a_peer_that_was_never_heard_and_has_no_endpoint_is_carried(world: World) -> None:
    world.phase(B, NEW)
    state = world.state.peers[B]
    world.state = evolve(world.state, peers={**world.state.peers, B: evolve(state, seen=evolve(seen(B), endpoint=""))})
    world.report(FIRST)
    assert world.carries == []
    world.moment += 3
    world.report(FIRST)
    assert world.carries == [(B, FIRST)]


@pytest.mark.parametrize("called", [0.3, 1.7])
def test_a_new_peer_is_carried_as_soon_where_it_calls_late(called: float) -> None:
    """It is asked directly only once it has called; what is waited for began with the first word of it."""
    world = World()
    ways = {WHERE.partition(":")[0]: Way("eth0")}
    world.see(Routed(frozenset(ways), Ways(ways, ways)))
    nowhere = evolve(seen(B, rx=0), endpoint="", handshake=0)
    world.phase(B, NEW, seen=nowhere)
    world.report(FIRST)
    began, asked = world.moment, list[float]()
    while not world.carries:
        world.moment += 0.1
        if abs(world.moment - began - called) < 0.05:
            world.sought(FIRST, relayed=False)
        done = world.see(Snapshot({**world.reading(), B: nowhere}, 1_700_000_000.0))
        asked += [world.moment - began for action in done if action == Probe(B)]
    assert called < asked[0] < called + 0.9
    assert world.moment - began == pytest.approx(relaying.CARRY_AFTER, abs=0.15)


def test_a_cut_off_machine_moves_nothing(world: World) -> None:
    world.state = evolve(world.state, cut_off=True)
    world.report(FIRST)
    assert world.carries == []


def test_who_runs_no_watchdog_or_has_a_via_is_never_carried(world: World) -> None:
    world.phase(C, SEARCHING, asked=world.moment - 60)
    world.report(FIRST, C), world.sought(FIRST, C), world.look()
    assert world.carries == []


def test_what_other_peers_say_of_it_makes_them_no_relays(world: World) -> None:
    world.report(C), world.sought(C), world.look()
    assert world.carries == []


# -- the other end


def test_a_peer_that_comes_by_a_relay_is_answered_by_the_same_one(world: World) -> None:
    world.sought(SECOND)
    assert world.carries == [(B, SECOND)]


def test_a_search_without_a_relay_moves_nothing(world: World) -> None:
    world.sought(SECOND, relayed=False)
    assert world.carries == []


def test_a_peer_that_is_heard_directly_is_not_moved_by_what_a_relay_says() -> None:
    world = World()
    world.phase(B, UP)
    world.sought(FIRST)
    assert world.carries == []
    world.moment += relaying.CARRY_KNOWN
    assert Probe(B) in world.sought(FIRST), "nothing was heard of it lately: it is asked"
    world.look(1.0)
    assert world.carries == []
    world.sought(FIRST)
    assert world.carries == [(B, FIRST)], "cut off from both in one moment, the end that moves first is followed"


def test_a_relay_that_lies_every_second_does_not_part_two_that_hear_each_other_now_and_then() -> None:
    world = World()
    world.phase(B, UP)
    answered = 0
    for _ in range(600):
        world.sought(FIRST)
        world.look(0.5, *[B] * (world.done.count(Probe(B)) > answered))
        answered = world.done.count(Probe(B))
        world.look(0.5)
    assert world.carries == []
    assert answered > 20


def test_a_relay_that_is_not_up_here_is_not_followed(world: World) -> None:
    world.phase(SECOND, SEARCHING, asked=world.moment)
    world.sought(SECOND)
    assert world.carries == []


def test_ends_that_chose_differently_in_the_same_moment_meet_at_the_later_one() -> None:
    for first, other in ((FIRST, SECOND), (SECOND, FIRST)):
        world = World()
        world.sought(first)
        world.look(0.5)
        world.sought(other)
        assert world.placed == {B: SECOND}


def test_later_the_last_word_counts(world: World) -> None:
    world.sought(SECOND)
    world.look(5)
    world.sought(FIRST)
    assert world.placed == {B: FIRST}


ANYTHING = st.one_of(
    st.tuples(st.just("look"), st.floats(0.1, 30), st.sets(st.sampled_from([B, C, R, S]))),
    st.tuples(
        st.just("report"), st.sampled_from([B, C, R, S]), st.sampled_from([B, C, R]), st.sampled_from([None, 1.0])
    ),
    st.tuples(st.just("sought"), st.sampled_from([C, R, S]), st.sampled_from([B, C, R, S])),
    st.tuples(st.just("dies"), st.sampled_from([B, C, R, S])),
)


@given(st.lists(ANYTHING, max_size=30))
def test_whatever_is_said_only_b_is_carried_by_a_relay_that_is_up_and_never_in_a_circle(steps: list[Any]) -> None:
    world = World()
    for kind, *words in steps:
        if kind == "look":
            world.look(words[0], *words[1])
        elif kind == "report":
            world.report(*words)
        elif kind == "sought":
            world.sought(*words)
        else:
            world.phase(words[0], SEARCHING, asked=world.moment)
        assert set(world.placed) <= {B}
        known = world.state.relaying.peers.get(B, Carried("", 0.0))
        assert known.relay == world.placed.get(B, "")
    for key, relay in world.carries:
        assert key == B
        assert relay in ("", R, S)
