"""A node behind a NAT, with two observers and many others: what the policy of rounds decides, without a network."""

from __future__ import annotations

from ipaddress import ip_address

from attrs import evolve

from mesh_sync.wireguard.ways import Way, Ways
from mesh_watchdog.policy.actions import Action, AskWays, AwaitKnocks, SetEndpoint
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.nat_class import EASY, HARD
from mesh_watchdog.policy.observations import (
    ABLE,
    NOW,
    Applied,
    Here,
    Observation,
    Reported,
    Routed,
    Seen,
    Sighting,
    Snapshot,
    Sought,
    Standing,
    Surroundings,
)
from mesh_watchdog.policy.rounds import Birthday
from mesh_watchdog.policy.state import State
from sim import at, declared

OBSERVERS = ("r", "s")
FAR = tuple(f"far{number}" for number in range(6))
A_LONG_WHILE = 1000.0


class Life:
    """A node behind a NAT of this class, whose observers answer at once, and whose far peers never do by themselves."""

    def __init__(self, nat: str, *, on: bool = True, metered: frozenset[str] = frozenset()) -> None:
        peers = {name: declared(name, [at(f"203.0.113.{n + 1}")]) for n, name in enumerate(OBSERVERS)}
        peers |= {name: declared(name) for name in FAR}
        own = Surroundings(frozenset([ip_address("192.168.1.2")]), frozenset([4]), False)
        self.moment, self.nat, self.up = 0.0, nat, set(OBSERVERS)
        self.state = State(surroundings=own, birthday=Birthday(on=on, metered=metered, rules=frozenset()))
        self.done: list[tuple[float, Action]] = []
        self.seen = {key: Seen(str(one.endpoint[0]) if one.endpoint else "", 0, 0, 0) for key, one in peers.items()}
        self.observe(Applied(peers, here=Here(name="me", key="me", port=51820)))
        self.go_on(3.0)

    def observe(self, observation: Observation) -> None:
        self.state, actions = decide(self.state, observation, self.moment)
        self.state = evolve(self.state, rendezvous=evolve(self.state.rendezvous, nat=self.nat))
        for action in actions:
            self.done.append((self.moment, action))
            if isinstance(action, SetEndpoint):
                self.seen[action.key] = evolve(self.seen[action.key], endpoint=action.endpoint)
            if isinstance(action, AskWays):
                self.observe(Routed(action.addresses, Ways({}, dict.fromkeys(action.addresses, Way("eth0")))))

    def go_on(self, seconds: float, step: float = 0.25) -> None:
        end = self.moment + seconds
        while self.moment < end:
            self.moment += step
            for key in self.up:
                before = self.seen[key]
                where = before.endpoint or place(0)
                self.seen[key] = evolve(before, endpoint=where, rx=before.rx + 128, tx=before.tx + 128, handshake=1)
            self.observe(Snapshot(dict(self.seen)))

    def pass_idly(self, seconds: float) -> None:
        """Long times, in steps that are still short enough for rounds to begin in."""
        self.go_on(seconds, step=2.0)

    def hear(self, key: str, place: str, standing: Standing, *, observer: str = "r") -> None:
        """An observer passes on that a peer calls."""
        self.observe(Sought(key, observer, (Sighting(place),), standing=standing))

    def report(self, key: str, place: str, standing: Standing) -> None:
        self.observe(Reported("r", key, (Sighting(place),), standing))

    def of(self, *kinds: type[Action]) -> list[tuple[float, Action]]:
        return [(moment, action) for moment, action in self.done if isinstance(action, kinds)]

    def last(self, *kinds: type[Action]) -> Action | None:
        return next((action for _, action in reversed(self.of(*kinds))), None)


def place(number: int, port: int = 40000) -> str:
    return f"198.18.1.{number + 1}:{port}"


def easy(**how: object) -> Life:
    """An easy node of which a hard peer wishes a round."""
    life = Life(EASY, **how)  # type: ignore[arg-type]
    life.go_on(5.0)
    life.hear(FAR[0], place(0), Standing(HARD, NOW))
    life.go_on(0.5)
    return life


def hard(**how: object) -> Life:
    """A hard node that knows of an easy peer that takes part, and invites it if it may."""
    life = Life(HARD, **how)  # type: ignore[arg-type]
    life.go_on(5.0)
    life.report(FAR[0], place(0, 51820), Standing(EASY, ABLE))
    life.go_on(2.0)
    return life


def waiting() -> Life:
    """A hard node whose invitation was answered."""
    life = hard()
    life.hear(FAR[0], place(0, 51820), Standing(EASY, NOW))
    assert life.last(AwaitKnocks) == AwaitKnocks(place(0, 51820), 3)
    return life
