"""A node whose policy sees its peers at regular moments, of a virtual clock: some answer, the others never do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address

from attrs import evolve

from mesh_sync.wireguard.ways import Way, Ways
from mesh_watchdog.policy.actions import Action, AskWays, SetEndpoint
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.observations import (
    Applied,
    Declared,
    Here,
    Observation,
    Routed,
    Seen,
    Snapshot,
    Surroundings,
)
from mesh_watchdog.policy.state import State

HOME = "198.18.1.1:40000"
"""Where a peer without an endpoint is when it answers."""


class Life:
    """The node "me" at the address ``own``; those that are ``up`` answer, and the kernel answers at once."""

    def __init__(self, peers: Mapping[str, Declared], up: Collection[str], own: str, **believed: object) -> None:
        surroundings = Surroundings(frozenset([ip_address(own)]), frozenset([4]), False)
        self.moment, self.up = 0.0, set(up)
        self.state = State(surroundings=surroundings, **believed)  # type: ignore[arg-type]
        self.done: list[tuple[float, Action]] = []
        self.seen = {key: Seen(str(one.endpoint[0]) if one.endpoint else "", 0, 0, 0) for key, one in peers.items()}
        self.observe(Applied(peers, here=Here(name="me", key="me", port=51820)))

    def believed(self, state: State) -> State:
        """What it believes after a decision."""
        return state

    def observe(self, observation: Observation) -> None:
        state, actions = decide(self.state, observation, self.moment)
        self.state = self.believed(state)
        for action in actions:
            self.done.append((self.moment, action))
            if isinstance(action, SetEndpoint):
                self.seen[action.key] = evolve(self.seen[action.key], endpoint=action.endpoint)
            if isinstance(action, AskWays):
                self.observe(Routed(action.addresses, Ways({}, dict.fromkeys(action.addresses, Way("eth0")))))

    def go_on(self, seconds: float, step: float = 0.1) -> None:
        end = self.moment + seconds
        while self.moment < end:
            self.moment += step
            for key in self.up:
                before = self.seen[key]
                where = before.endpoint or HOME
                self.seen[key] = evolve(before, endpoint=where, rx=before.rx + 128, tx=before.tx + 128, handshake=1)
            self.observe(Snapshot(dict(self.seen)))
