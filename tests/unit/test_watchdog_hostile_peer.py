"""A peer that may have a tunnel decides what its counters and its endpoint say: that costs a bounded amount of work."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable

import pytest
from attrs import Factory, define, evolve

from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.wireguard.protocol import INITIATION_SIZE
from mesh_watchdog.policy.actions import Announce, LookUp, SetEndpoint
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.observations import Applied, Declared, Seen, Snapshot, Surroundings
from mesh_watchdog.policy.peer import NEW, UP
from mesh_watchdog.policy.polling import next_poll
from mesh_watchdog.policy.state import State

HOUR, IDLE = 3600.0, 5.0
HOSTILE, HONEST = "H", "B"
PEERS = {
    HOSTILE: Declared("hostile", (Endpoint("h.example", 51820), Endpoint.parse("198.51.100.1:51820")), "10.0.0.2"),
    HONEST: Declared("b", (Endpoint("b.example", 51820),), "10.0.0.3"),
}
OURS = Surroundings(frozenset({ipaddress.ip_address("203.0.113.1")}), frozenset({4}), moved=False)


@define
class Hour:
    """What a watchdog did in an hour of a peer that shows what ``seen`` says at each look."""

    seen: Callable[[Hour], Seen]
    readings: int = 0
    moment: float = 0.0
    endpoint: str = "198.51.100.1:51820"
    actions: Counter[object] = Factory(Counter)
    state: State = State()
    size: int = 0

    @property
    def phase(self) -> str:
        """What the watchdog thinks of it."""
        return self.state.peers[HOSTILE].phase

    def live(self) -> Hour:
        self.state, _ = decide(self.state, OURS, self.moment)
        self.state, _ = decide(self.state, Applied(PEERS), self.moment)
        while self.moment < HOUR:
            total = self.readings * 100
            honest = Seen("198.51.100.9:51820", 1 + self.readings // 100, total, total)
            shown = Snapshot({HOSTILE: self.seen(self), HONEST: honest}, 1.7e9 + self.moment)
            self.state, actions = decide(self.state, shown, self.moment)
            for action in actions:
                about = action.host if isinstance(action, LookUp) else getattr(action, "key", "")
                self.actions[type(action), about] += 1
                if isinstance(action, SetEndpoint):
                    self.endpoint = action.endpoint
            self.readings += 1
            self.size = self.size or len(repr(self.state))
            self.moment += next_poll(self.state, self.moment, idle=IDLE)
        return self


def somewhere(number: int) -> str:
    return f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}:{1 + number % 65535}"


def roams(hour: Hour) -> Seen:
    """It is somewhere else at each look."""
    return Seen(somewhere(hour.readings), int(hour.moment), hour.readings * 1000, hour.readings * 900)


def comes_and_goes(hour: Hour) -> Seen:
    """It is silent as long as it is believed, and heard from somewhere else as soon as it is missed."""
    if hour.phase == UP or (hour.readings % 2 and hour.phase != NEW):
        seen = hour.state.peers[HOSTILE].seen
        return evolve(seen, tx=seen.tx + 100) if seen else Seen(hour.endpoint, 0, 0, 0)
    return Seen(somewhere(hour.readings), hour.readings, hour.readings * 1000, hour.readings * 100_000)


def counts_back(hour: Hour) -> Seen:
    """Its counters grow beyond all bounds, and begin again."""
    rx, tx = [0, 2**64 - 1, 5][hour.readings % 3], [2**64 - 1, 0][hour.readings % 2]
    return Seen(somewhere(hour.readings), 2**63 - 1 - hour.readings, rx, tx)


def only_initiates(hour: Hour) -> Seen:
    """Handshakes that are never completed."""
    return Seen(hour.endpoint, 0, hour.readings * INITIATION_SIZE, hour.readings * INITIATION_SIZE)


def is_nowhere(hour: Hour) -> Seen:
    """It was there once."""
    return Seen("", 1, 1, hour.readings)


@pytest.mark.parametrize("seen", [roams, comes_and_goes, counts_back, only_initiates, is_nowhere])
def test_an_hour_of_it_costs_so_much_and_no_more(seen: Callable[[Hour], Seen]) -> None:
    hour = Hour(seen).live()
    assert hour.readings <= 2.1 * HOUR, "two a second"
    assert hour.actions[SetEndpoint, HOSTILE] <= 270
    assert hour.actions[LookUp, "h.example"] <= 720
    assert hour.actions[Announce, HOSTILE] <= 720, "lines in the journal"
    assert len(repr(hour.state)) < hour.size + 1000
    assert hour.state.peers[HONEST].phase == UP
    assert hour.actions[SetEndpoint, HONEST] == hour.actions[Announce, HONEST] == 0
