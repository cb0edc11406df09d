"""A node behind a NAT, with two observers and many others: what the policy of rounds decides, without a network."""

from __future__ import annotations

from attrs import evolve

from mesh_watchdog.policy.actions import Action, AwaitKnocks
from mesh_watchdog.policy.nat_class import EASY, HARD
from mesh_watchdog.policy.observations import ABLE, NOW, Reported, Sighting, Sought, Standing
from mesh_watchdog.policy.rounds import Birthday
from mesh_watchdog.policy.state import State
from sim import at, declared
from unit.policy_life import Life

OBSERVERS = ("r", "s")
FAR = tuple(f"far{number}" for number in range(6))


class NatLife(Life):
    """A node behind a NAT of this class, whose observers answer, and whose far peers never do by themselves."""

    def __init__(self, nat: str, *, on: bool = True, metered: frozenset[str] = frozenset()) -> None:
        self.nat = nat
        peers = {name: declared(name, [at(f"203.0.113.{n + 1}")]) for n, name in enumerate(OBSERVERS)}
        peers |= {name: declared(name) for name in FAR}
        super().__init__(
            peers, OBSERVERS, "192.168.1.2", birthday=Birthday(on=on, metered=metered, rules=frozenset())
        )  # fmt: skip
        self.go_on(3.0)

    def believed(self, state: State) -> State:
        return evolve(state, rendezvous=evolve(state.rendezvous, nat=self.nat))

    def go_on(self, seconds: float, step: float = 0.25) -> None:
        super().go_on(seconds, step)

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


def easy(**how: object) -> NatLife:
    """An easy node of which a hard peer wishes a round."""
    life = NatLife(EASY, **how)  # type: ignore[arg-type]
    life.go_on(5.0)
    life.hear(FAR[0], place(0), Standing(HARD, NOW))
    life.go_on(0.5)
    return life


def hard(**how: object) -> NatLife:
    """A hard node that knows of an easy peer that takes part, and invites it if it may."""
    life = NatLife(HARD, **how)  # type: ignore[arg-type]
    life.go_on(5.0)
    life.report(FAR[0], place(0, 51820), Standing(EASY, ABLE))
    life.go_on(2.0)
    return life


def waiting() -> NatLife:
    """A hard node whose invitation was answered."""
    life = hard()
    life.hear(FAR[0], place(0, 51820), Standing(EASY, NOW))
    assert life.last(AwaitKnocks) == AwaitKnocks(place(0, 51820), 3)
    return life
