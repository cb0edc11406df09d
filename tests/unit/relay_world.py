"""A node, two relays and two peers: what the policy of relays decides, without a network."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from mesh_sync.wireguard.relays import in_order
from mesh_watchdog.policy.actions import Action, Call, Carry
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.observations import (
    Applied,
    Declared,
    Here,
    Observation,
    Reported,
    Seen,
    Sighting,
    Snapshot,
    Sought,
    Surroundings,
)
from mesh_watchdog.policy.peer import SEARCHING, UP, PeerState
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

    def sought(self, relay: str, by: str = B, *, relayed: bool = True, direct: bool = False) -> list[Action]:
        return self.see(Sought(by, relay, (), relayed and not direct, direct))

    @property
    def carries(self) -> list[tuple[str, str]]:
        return [(action.key, action.relay) for action in self.done if isinstance(action, Carry)]

    def told(self, relayed: bool = True) -> list[tuple[str, ...]]:
        calls = (action for action in self.done if isinstance(action, Call) and action.about == B)
        return [call.observers for call in calls if call.relayed == relayed]


def relayed() -> World:
    world = World()
    world.look()
    world.report(FIRST), world.report(SECOND)
    assert world.carries == [(B, FIRST)]
    world.look(0.1), world.look(0.1)
    world.done.clear()
    return world
