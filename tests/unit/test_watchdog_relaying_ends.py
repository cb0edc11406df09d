"""Both ends of a relayed pair, each with the real policy: they take to a direct path together, and stay together.

While one end sends directly and the other through the relay, neither accepts what the other sends.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from functools import partial

import pytest
from attrs import evolve

from mesh_watchdog.policy.actions import Action, Call, Probe
from unit.relay_world import FIRST, SECOND, B, World

READING, PING, WAY, WAY_BY_RELAY = 0.3, 0.1, 0.02, 0.05
"""Seconds between readings while traffic flows and a peer is relayed, between pings, and of a packet."""
TRIES = 2.0
"""Seconds between packets by which an end tries the direct path, at most."""


class Pair:
    """Two worlds that are each other's peer b. ``open_at``: from when packets of each end reach the other directly."""

    def __init__(self, seed: int, open_at: tuple[float, float], returns: tuple[int, int] = (0, 0)) -> None:
        self.chance, self.now = random.Random(seed), 1000.0
        self.ends, self.open_at = (World(), World()), tuple(self.now + after for after in open_at)
        self.pings: list[tuple[float, bool]] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        for end, number in zip(self.ends, returns, strict=True):
            end.report(FIRST)
            known = end.state.relaying
            carried = {B: evolve(known.peers[B], returns=number)}
            end.state = evolve(end.state, relaying=evolve(known, peers=carried))
        for number in (0, 1):
            self.at(self.chance.uniform(0, READING), partial(self.read, number))
            self.at(self.chance.uniform(0, TRIES), partial(self.seek, number))
        self.at(0.0, self.ping)

    def at(self, after: float, deed: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + after, next(self._numbers), deed))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events[0][0] < end:
            self.now, _, deed = heapq.heappop(self._events)
            for each in self.ends:
                each.moment = self.now
            deed()
        self.now = end

    def read(self, number: int) -> None:
        self.act(number, self.ends[number].look(0.0))
        self.at(READING, partial(self.read, number))

    def seek(self, number: int) -> None:
        """The search goes on while a peer is relayed, whatever else happens."""
        if self.ends[number].placed:
            self.act(number, [Probe(B)])
        self.at(self.chance.uniform(0, TRIES), partial(self.seek, number))

    def act(self, number: int, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, Probe) and action.key == B:
                self.at(WAY, partial(self.arrive, number))
            elif isinstance(action, Call) and action.about == B and (action.relayed or action.direct):
                self.at(WAY_BY_RELAY, partial(self.tell, number, action))

    def arrive(self, number: int) -> None:
        """An empty packet of one end, which is counted whatever the other end's allowed IPs are."""
        if self.now >= self.open_at[number]:
            self.ends[1 - number].rx[B] += 32

    def tell(self, number: int, call: Call) -> None:
        other = self.ends[1 - number]
        self.act(1 - number, other.sought(call.observers[0], relayed=call.relayed, direct=call.direct))

    def ping(self) -> None:
        """There and back, by the way that each end sends: it has to be the one by which the other accepts it."""
        places = [end.placed.get(B, "") for end in self.ends]
        answered = places[0] == places[1]
        if answered and not places[0]:
            answered = all(self.now >= moment for moment in self.open_at)
            for end in self.ends:
                end.rx[B] += 100 * answered
        self.pings.append((self.now, answered))
        self.at(PING, self.ping)

    @property
    def lost(self) -> float:
        """Seconds for which neither end accepted what the other sent."""
        return PING * sum(not answered for _, answered in self.pings)

    @property
    def moves(self) -> int:
        return max(len(end.carries) for end in self.ends)

    @property
    def is_direct(self) -> bool:
        return not any(end.placed for end in self.ends)


@pytest.mark.parametrize("seed", range(60))
def test_a_path_that_opens_is_taken_by_both_ends_within_a_moment_and_kept(seed: int) -> None:
    pair = Pair(seed, (opens := random.Random(seed).uniform(0, 4), opens))
    pair.run(opens + 4)
    assert pair.is_direct
    pair.run(60)
    assert pair.is_direct
    assert pair.moves == 2, "there and back"
    assert pair.lost < 1.0


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("returns", [(0, 4), (4, 0), (2, 3)])
def test_an_end_that_holds_on_to_the_relay_goes_with_the_one_that_does_not(seed: int, returns: tuple[int, int]) -> None:
    pair = Pair(seed, (0, 0), returns)
    pair.run(15)
    assert pair.is_direct
    assert pair.moves == 2
    assert pair.lost < 1.0


@pytest.mark.parametrize("seed", range(3))
def test_a_path_that_leads_only_one_way_is_tried_ever_less_often(seed: int) -> None:
    pair = Pair(seed, (0, float("inf")))
    pair.run(3600)
    assert pair.moves < 40
    assert pair.lost < 0.03 * 3600
    assert [end.placed for end in pair.ends] in ([{B: FIRST}] * 2, [{B: SECOND}] * 2)
