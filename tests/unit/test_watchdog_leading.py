"""Two gateways of one network: when the watchdog sends it to the other one, and when back."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from mesh_watchdog.policy import leading
from mesh_watchdog.policy.actions import Action, Lead
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.leading import HOLD, LONGEST_HOLD, LOSE_AFTER, STEADY
from mesh_watchdog.policy.led import Leading, Led
from mesh_watchdog.policy.observations import Applied, Declared, Here, Seen, Snapshot, Surroundings
from mesh_watchdog.policy.peer import MISSING, NEW, SEARCHING, SUSPECT, UP, PeerState
from mesh_watchdog.policy.relayed import Carried, Relaying
from mesh_watchdog.policy.state import State

A, B, C, R = (name * 43 + "=" for name in "ABCR")
NAMES = {A: "a", B: "b", C: "c", R: "r"}
LAN = "192.168.1.0/24"
ORDER = {LAN: (A, B, C)}
HERE = {key: f"10.0.0.{number}/32" for number, key in enumerate(NAMES, start=1)}


class World:
    """What a node believes of three gateways and a relay, and who has the network on its interface: the first."""

    def __init__(self) -> None:
        self.moment, self.at = 1000.0, A
        self.strangers = set[str]()
        self.state = State(leading=Leading(ORDER))
        for key in NAMES:
            self.peer(key, UP, since=0.0)
        assert self.step() == []

    def seen(self, key: str) -> Seen:
        ips = {HERE[key]} | ({LAN} if key == self.at else set())
        received = 0 if key in self.strangers else 1000
        return Seen("203.0.113.1:51820", received, received, 1000, True, frozenset(ips))

    def peer(self, key: str, phase: str, **more: Any) -> None:
        known = {"since": self.moment, "heard": self.moment, "lived": True, **more}
        peer = PeerState(declared=Declared(NAMES[key], (), "10.0.0.9"), phase=phase, seen=self.seen(key), **known)
        self.state = evolve(self.state, peers={**self.state.peers, key: peer})

    def silent(self, key: str, seconds: float = 60.0, phase: str = SEARCHING) -> None:
        self.peer(key, phase, asked=self.moment - seconds)

    def step(self, after: float = 0.0) -> list[tuple[str, str]]:
        """Read the interface; what is to be moved is moved."""
        self.moment += after
        peers = {key: evolve(peer, seen=self.seen(key)) for key, peer in self.state.peers.items()}
        self.state, actions = leading.step(evolve(self.state, peers=peers), self.moment)
        moves = [action for action in actions if isinstance(action, Lead)]
        assert len(moves) == len(actions)
        for move in moves:
            self.at = move.key
        return [(move.key, move.text) for move in moves]


AS_A_IS_SILENT = f"is sent what is for {LAN}, as a is not heard"
AGAIN = f"is sent what is for {LAN} again"


@pytest.mark.parametrize("phase", [SUSPECT, SEARCHING])
def test_a_silent_gateway_loses_it_to_the_next_one_that_is_heard(phase: str) -> None:
    world = World()
    world.silent(A, LOSE_AFTER - 0.1, phase)
    assert world.step() == []
    assert world.step(0.2) == [(B, AS_A_IS_SILENT)]
    assert world.step(5) == []


def test_one_that_is_not_heard_either_is_passed_over() -> None:
    world = World()
    world.silent(A)
    world.peer(B, NEW, lived=False)
    assert world.step() == [(C, AS_A_IS_SILENT)]


@pytest.mark.parametrize("phase", [NEW, SEARCHING, MISSING])
def test_where_none_is_heard_it_stays(phase: str) -> None:
    world = World()
    world.silent(A)
    world.peer(B, phase, lived=False)
    world.peer(C, phase, lived=False)
    assert world.step() == []


def test_while_this_machine_is_cut_off_it_stays() -> None:
    world = World()
    world.silent(A)
    world.state = evolve(world.state, cut_off=True)
    assert world.step() == []


def test_one_that_the_interface_has_not_loses_it_at_once() -> None:
    world = World()
    world.peer(A, MISSING)
    assert world.step() == [(B, AS_A_IS_SILENT)]


def test_one_that_was_never_heard_loses_it_once_it_was_asked() -> None:
    world = World()
    world.peer(A, NEW, lived=False)
    assert world.step(60) == []
    world.strangers = {A}
    world.peer(A, NEW, lived=False, asked=world.moment - 60)
    assert world.step() == [(B, AS_A_IS_SILENT)]


def test_one_that_is_heard_directly_comes_before_one_that_is_relayed() -> None:
    world = World()
    world.silent(A)
    world.state = evolve(world.state, relaying=Relaying({"r": R}, {A: Carried(R, world.moment)}))
    world.at = R
    assert world.step() == [(B, AS_A_IS_SILENT)]
    world.silent(B)
    world.silent(C)
    assert world.step(60) == [], "and where none is, it stays with the relayed one"


def test_it_comes_back_when_the_first_was_heard_for_a_while() -> None:
    world = World()
    world.silent(A)
    assert world.step() == [(B, AS_A_IS_SILENT)]
    world.moment += 100
    world.peer(A, UP)
    assert world.step(HOLD - 0.1) == []
    assert world.step(0.2) == [(A, AGAIN)]


def test_at_once_if_the_other_is_silent_by_then() -> None:
    world = World()
    world.silent(A)
    world.step()
    world.silent(B)
    world.peer(A, UP)
    assert world.step(1) == [(A, AGAIN)]


def test_one_that_comes_and_goes_is_waited_for_longer_each_time() -> None:
    world, waits = World(), list[float]()
    for _ in range(8):
        world.silent(A)
        assert world.step(2) == [(B, AS_A_IS_SILENT)]
        world.peer(A, UP)
        began = world.moment
        while not world.step(1):
            assert world.moment - began < 2 * LONGEST_HOLD
        waits.append(world.moment - began)
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]
    world.moment += STEADY
    world.silent(A)
    world.step(2)
    world.peer(A, UP)
    assert world.step(HOLD) == [(A, AGAIN)], "it had lasted"


def test_what_others_moved_is_taken_over() -> None:
    world = World()
    world.at = B
    assert world.step(2) == [(A, AGAIN)], "the first is up, so it is sent there"
    world.silent(A)
    world.step(2)
    assert world.at == B
    world.at = A  # mesh-sync has applied another list, or a person has
    assert world.step(2) == [(B, AS_A_IS_SILENT)]


def test_a_move_that_failed_is_made_again() -> None:
    world = World()
    world.silent(A)
    before = world.state
    assert world.step() == [(B, AS_A_IS_SILENT)]
    world.state, world.at = leading.taken_back(before, world.state, frozenset({LAN})), A
    assert world.step(1) == [(B, AS_A_IS_SILENT)]


def test_a_new_list_with_another_order_begins_again() -> None:
    known = Leading(ORDER, {LAN: Led(B, 1.0, 3), "10.1.0.0/16": Led(A)})
    assert leading.listed(known, ORDER) == Leading(ORDER, {LAN: Led(B, 1.0, 3)})
    other = {LAN: (B, A)}
    assert leading.listed(known, other) == Leading(other)
    assert leading.listed(known, {}) == Leading()


def test_it_is_part_of_each_look_at_the_interface() -> None:
    peers = {key: Declared(NAMES[key], (), f"10.0.0.{n}") for n, key in enumerate((A, B), start=1)}
    state = State(surroundings=Surroundings(frozenset(), frozenset({4})))
    state, _ = decide(state, Applied(peers, here=Here("x", "X"), gateways={LAN: (A, B)}), 0.0)
    done, at = list[Action](), A
    for tick in range(200):
        counters = {A: 1000 + tick * 50 * (tick < 100), B: 1000 + tick * 50}
        seen = {
            key: Seen(
                f"203.0.113.{n}:1", 1, counters[key], 1000 + tick * 200, True, frozenset({LAN} if key == at else ())
            )
            for n, key in enumerate((A, B), start=1)
        }
        state, actions = decide(state, Snapshot(seen, 1.0), float(tick))
        done += [action for action in actions if isinstance(action, Lead)]
        at = next((action.key for action in actions if isinstance(action, Lead)), at)
    assert [(action.key, action.text) for action in done if isinstance(action, Lead)] == [(B, AS_A_IS_SILENT)]
