"""How fast a commit spreads over nodes that tell each other: the watchdogs' own policy, in virtual time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from itertools import count

from mesh_watchdog.policy.news import Acts, Ask, Heard, Learnt, News, Pull, Tell, hear, learn, step, wait

NODES = 1000
OLD, NEW = "0" * 40, "1" * 40
PACKET = (0.01, 0.12)
"""Seconds for a packet through the tunnel."""
RUN = (0.25, 0.6)
"""Seconds from the start of a run to the applied commit: what 20 nodes in the lab took when they were not in each
other's way.
"""
MINUTE = 60.0


class World:
    """Nodes with a minute timer each; the git host is asked by the timers, and by those whose tellers fail. Without a
    host, each knows that it is alone once its timer has asked.

    The first of them has the commit at 0. ``lost``: the share of packets that do not arrive; ``mute``: nodes that tell
    nothing on.
    """

    def __init__(self, seed: int, nodes: int = NODES, *, lost: float = 0.0, mute: int = 0, host: bool = True) -> None:
        self.random = random.Random(seed)
        self.lost, self.host = lost, host
        self.keys = [f"node{number}" for number in range(nodes)]
        self.mute = frozenset(self.random.sample(self.keys[1:], mute))
        self.news: dict[str, News] = {}
        self.have: dict[str, float] = {}
        self.running: set[str] = set()
        self.at_host = 0
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = count()
        for key in self.keys:
            self.news[key], _ = learn(News(), Learnt(OLD), (), key, 0.0)
            self.at(self.random.uniform(0.0, MINUTE), lambda moment, key=key: self.poll(key, moment))  # type: ignore[misc]
        self.at(0.0, lambda moment: self.apply(self.keys[0], moment))

    def peers(self, key: str) -> list[str]:
        return [other for other in self.keys if other != key]

    def at(self, moment: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._number), what))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            moment, _, what = heapq.heappop(self._events)
            what(moment)

    def poll(self, key: str, moment: float) -> None:
        if key not in self.have and self.host:
            self.at_host += 1
            self.apply(key, moment + self.random.uniform(*RUN))
        elif key not in self.have:
            self.news[key], _ = learn(self.news[key], Learnt(OLD, alone=True), self.peers(key), key, moment)
            self.step(key, moment)

    def apply(self, key: str, moment: float) -> None:
        if key in self.have:
            return
        self.have[key] = moment
        self.news[key], acts = learn(self.news[key], Learnt(NEW), self.peers(key), key, moment)
        self.carry_out(key, acts, moment)

    def carry_out(self, key: str, acts: Acts, moment: float) -> None:
        for act in acts:
            if isinstance(act, Pull):
                self.pull(key, act, moment)
            elif isinstance(act, Ask) and act.peer in self.have:
                later = moment + 2 * self.random.uniform(*PACKET)
                self.at(later, lambda moment, peer=act.peer: self.hear(key, peer, moment))  # type: ignore[misc]
            elif isinstance(act, Tell) and key not in self.mute:
                for peer in act.peers:
                    if self.random.random() >= self.lost:
                        later = moment + self.random.uniform(*PACKET)
                        self.at(later, lambda moment, peer=peer: self.hear(peer, key, moment))  # type: ignore[misc]
        if (pause := wait(self.news[key], moment)) < MINUTE:
            self.at(moment + pause + 0.2, lambda moment: self.step(key, moment))

    def hear(self, key: str, teller: str, moment: float) -> None:
        self.news[key], acts = hear(self.news[key], Heard(teller, NEW), moment)
        self.carry_out(key, acts, moment)

    def step(self, key: str, moment: float) -> None:
        self.news[key], acts = step(self.news[key], self.peers(key), key, moment)
        if acts:
            self.carry_out(key, acts, moment)

    def pull(self, key: str, act: Pull, moment: float) -> None:
        if key in self.running:
            return
        self.running.add(key)
        done = moment + self.random.uniform(*RUN)
        self.at(done, lambda moment: self.apply(key, moment))

    def took(self, share: float) -> float:
        """Seconds until so large a part of the nodes had it."""
        moments = sorted(self.have.values())
        index = min(len(self.keys) - 1, int(len(self.keys) * share))
        return moments[index] if index < len(moments) else float("inf")


def test_twenty_nodes_have_a_commit_within_three_seconds() -> None:
    for host in (True, False):
        moments = sorted(moment for seed in range(50) for moment in _spread(seed, 20, host=host))
        assert len(moments) == 50 * 20
        assert moments[int(0.95 * len(moments))] < 3


def _spread(seed: int, nodes: int, *, host: bool) -> Iterable[float]:
    world = World(seed, nodes, host=host)
    world.run(MINUTE + 5)
    return world.have.values()


def test_a_thousand_nodes_have_a_commit_within_five_seconds() -> None:
    world = World(1)
    world.run(MINUTE + 5)
    assert world.took(0.95) < 5
    assert len(world.have) == NODES, "those that were not told have their timer"
    assert world.at_host < NODES / 10


def test_the_same_without_a_git_host() -> None:
    world = World(7, host=False)
    world.run(MINUTE + 5)
    assert world.took(0.95) < 5
    assert world.took(0.99) < 8
    assert len(world.have) == NODES, "a node that was not told asks"


def test_without_a_host_all_have_it_though_packets_are_lost_and_nodes_tell_nothing_on() -> None:
    world = World(9, lost=0.2, mute=100, host=False)
    world.run(2 * MINUTE)
    assert len(world.have) == NODES


def test_packets_that_are_lost_and_nodes_that_tell_nothing_on_slow_it_down_and_do_not_stop_it() -> None:
    world = World(8, lost=0.2, mute=100)
    world.run(MINUTE + 5)
    assert world.took(0.9) < 10
    assert len(world.have) == NODES
