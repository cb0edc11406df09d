"""Whom a relay carries, which one, and until when: both ends of a pair, decided without a network."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.wireguard.relays import in_order
from mesh_watchdog.policy import relaying
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.events import (
    Action,
    Applied,
    Call,
    Carry,
    Declared,
    Here,
    Observation,
    Probe,
    Reported,
    Seen,
    Sighting,
    Snapshot,
    Sought,
    Surroundings,
)
from mesh_watchdog.policy.peer import NEW, SEARCHING, UP, PeerState
from mesh_watchdog.policy.relayed import Carried
from mesh_watchdog.policy.state import State

A, B, C, R, S = (name * 43 + "=" for name in "ABCRS")
FIRST, SECOND = ({"r": R, "s": S}[name] for name in in_order("a", "b", ("r", "s")))
WHERE = "203.0.113.2:51820"


def declared(name: str, number: int, **more: Any) -> Declared:
    address = f"10.0.0.{number}"
    return Declared(name, (), address, addresses=(address,), allowed=(f"{address}/32",), **more)


PEERS = {
    B: declared("b", 2),
    C: declared("c", 3, direct_only=True),
    R: declared("r", 8, relay=True, direct_only=True),
    S: declared("s", 9, relay=True, direct_only=True),
}


def seen(key: str, *, rx: int = 1000, carries: bool = True, more: frozenset[str] = frozenset()) -> Seen:
    own = frozenset(PEERS[key].allowed) if carries else frozenset()
    return Seen(WHERE, 1_700_000_000, rx, 1000, bool(own | more), own | more)


class World:
    """What node a believes, and the interface it has; the relays are up, b has been silent for ``silent`` seconds."""

    def __init__(self, silent: float = 60.0) -> None:
        self.moment = 1000.0
        self.placed: dict[str, str] = {}
        self.rx = dict.fromkeys(PEERS, 1000)
        self.done: list[Action] = []
        self.state = State(surroundings=Surroundings(frozenset(), frozenset({4})))
        self.see(Applied(PEERS, here=Here("a", A)))
        for key in PEERS:
            self.phase(key, UP)
        self.phase(B, SEARCHING, asked=self.moment - silent)

    def phase(self, key: str, phase: str, **changes: Any) -> None:
        """Believe this of a peer."""
        known = PeerState(declared=PEERS[key], since=self.moment, heard=self.moment - 100, seen=self.reading()[key])
        peer = evolve(known, **{"phase": phase, "lived": phase == UP, "next_round": 1e9, **changes})
        if phase == UP:
            peer = evolve(peer, heard=self.moment, good=WHERE, path=WHERE)
        self.state = evolve(self.state, peers={**self.state.peers, key: peer})

    def reading(self) -> dict[str, Seen]:
        moved = {relay: frozenset[str]() for relay in (R, S)}
        for key, relay in self.placed.items():
            moved[relay] |= set(PEERS[key].allowed)
        return {
            key: seen(key, rx=self.rx[key], carries=key not in self.placed, more=moved.get(key, frozenset()))
            for key in PEERS
        }

    def see(self, observation: Observation) -> list[Action]:
        """Take it in; what is to be moved is moved at once."""
        self.state, actions = decide(self.state, observation, self.moment)
        for action in actions:
            if isinstance(action, Carry):
                self.placed.pop(action.key, None)
                if action.relay:
                    self.placed[action.key] = action.relay
        self.done += actions
        return list(actions)

    def look(self, after: float = 1.0, *heard: str) -> list[Action]:
        """Read the interface; the relays that are up are heard, and those named."""
        self.moment += after
        for key in {*heard, *(key for key in (R, S) if self.state.peers[key].phase == UP)}:
            self.rx[key] += 100
        return self.see(Snapshot(self.reading(), 1_700_000_000.0))

    def report(self, relay: str, key: str = B, age: float | None = 1.0, *, own: bool = False) -> list[Action]:
        places = () if age is None else (Sighting(WHERE, age, own),)
        return self.see(Reported(relay, key, places))

    def sought(self, relay: str, by: str = B, *, relayed: bool = True) -> list[Action]:
        return self.see(Sought(by, relay, (), relayed))

    @property
    def carries(self) -> list[tuple[str, str]]:
        return [(action.key, action.relay) for action in self.done if isinstance(action, Carry)]

    def told(self, relayed: bool = True) -> list[tuple[str, ...]]:
        calls = (action for action in self.done if isinstance(action, Call) and action.about == B)
        return [call.observers for call in calls if call.relayed == relayed]


@pytest.fixture
def world() -> World:
    return World()


def relayed() -> World:
    world = World()
    world.look()
    world.report(FIRST), world.report(SECOND)
    assert world.carries == [(B, FIRST)]
    world.look(0.1), world.look(0.1)
    world.done.clear()
    return world


# -- there


def test_relays_are_asked_and_the_first_that_sees_the_peer_carries_it(world: World) -> None:
    world.look()
    assert {R, S} in map(set, world.told(relayed=False))
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
    assert len(world.told(relayed=False)) < 130, "of relays, and of all others"


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
    world.moment += 3
    world.sought(FIRST)
    assert world.carries == [(B, FIRST)], "it was not heard for a while"


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


# -- while it is relayed


def test_the_other_end_is_told_again_and_ever_less_often() -> None:
    world = relayed()
    for _ in range(600):
        world.look()
    assert 24 <= len(world.told()) <= 30
    assert world.carries == []


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
