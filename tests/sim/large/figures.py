"""What is counted, and the bounds that it is held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from mesh_watchdog.policy.crowd import RATE
from mesh_watchdog.policy.news import FANOUT, MOST_PULLS, MOST_TOLD
from mesh_watchdog.policy.observations import Declared
from mesh_watchdog.policy.state import State

if TYPE_CHECKING:
    from sim.large.mesh import Mesh

HOUR, MINUTE = 3600, 60
BACK = 420.0
"""Seconds after the last thing that disturbed a pair within which a user's packet is answered: one wait of R10 or R11
(330 s), and the places that a crowd leaves."""
CAUGHT_UP = 90.0
"""Seconds after which a node has the newest commit: its minute, a run, and one more question."""
ENTRIES_EACH, ENTRIES_MORE = 40, 4000
"""Entries of all tables of the policy: so many for each peer, and so many more."""
BYTES = 1000.0


@frozen
class Row:
    """One figure, and the most that it may be."""

    name: str
    found: float
    bound: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.found <= self.bound


class Figures:
    """Counts by node, and by node and minute, hour or name."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.counts: dict[str, Counter[tuple[object, ...]]] = {}
        self.waits: list[tuple[float, str]] = []
        self.lost: list[str] = []
        self.lags: list[tuple[float, str]] = []
        self.entries = 0.0
        self.traffic: Mapping[str, tuple[float, float]] = {}
        self.audits = self.since = 0

    def _count(self, what: str, key: tuple[object, ...], many: int = 1) -> None:
        self.counts.setdefault(what, Counter())[key] += many

    def probed(self, name: str, key: str, now: float) -> None:
        self._count("probes", (name, int(now)))

    def called(self, name: str, now: float) -> None:
        self._count("calls", (name, int(now / HOUR)))

    def wrote(self, name: str, run: int, key: str, now: float) -> None:
        """``run``: the number of the watchdog since the machine was new; the next one begins to count afresh."""
        self._count("writes", (name, run, key, int(now / HOUR)))

    def asked_dns(self, name: str, host: str, now: float) -> None:
        self._count("dns", (name, host, int(now / HOUR)))

    def told(self, name: str, many: int, now: float) -> None:
        self._count("told", (name, int(now / MINUTE)), many)

    def pulled(self, name: str, now: float) -> None:
        self._count("pulls", (name, int(now / MINUTE)))

    def fetched(self, name: str, now: float) -> None:
        self._count("fetches", (name, int(now / MINUTE)))

    def applied(self, name: str, index: int) -> None:
        """A node has a commit: how long after it could have had it?"""
        gossip, node = self.mesh.gossip, self.mesh.nodes[name]
        since = max(gossip.pushed[index], node.changed, self.mesh.parted_or_healed, gossip.host_changed)
        if index == gossip.newest:
            self.lags.append((self.mesh.now - since, name))

    def take_size(self, state: State) -> None:
        """The size of what a node believes, for each peer."""
        bound = ENTRIES_EACH * len(state.peers) + ENTRIES_MORE
        self.entries = max(self.entries, entries(state) / bound)

    def take_traffic(self) -> None:
        """Bytes a second of each sampled node, while it is awake: before it talks to all peers, which no user does."""
        self.traffic = self.mesh.traffic()

    def most(self, what: str) -> int:
        return max(self.counts.get(what, {}).values(), default=0)

    def rows(self) -> Iterator[Row]:
        """All figures."""
        mesh = self.mesh
        waits = sorted(self.waits)
        yield Row("pairs that were lost", len(self.lost), 0)
        yield Row("the longest wait for an answer", waits[-1][0] if waits else 0.0, BACK, "s")
        yield Row("… 99 of 100 waited", waits[len(waits) * 99 // 100][0] if waits else 0.0, BACK, "s")
        yield Row("nodes without the newest commit in the end", len(list(mesh.lagging())), 0)
        yield Row("the longest wait for a commit", max(self.lags)[0] if self.lags else 0.0, CAUGHT_UP, "s")
        yield Row("entries of the policy's tables, of what is allowed", 100 * self.entries, 100, "%")
        yield Row("probes of a node in a second", self.most("probes"), 2 * RATE)
        yield Row("endpoints written, of one peer in an hour", self.most("writes"), 270)
        yield Row("questions to DNS, for one name in an hour", self.most("dns"), 720)
        yield Row("NOTIFYs of a node in a minute", self.most("told"), 2 * FANOUT * MOST_TOLD)
        yield Row("looks of a node because of news, in a minute", self.most("pulls"), 2 * MOST_PULLS)
        yield Row("fetches of a node at the git host, in a minute", self.most("fetches"), 2 + 2 * MOST_PULLS)
        for name, (received, sent) in self.traffic.items():
            yield Row(f"{name} receives while it is awake, until all are greeted", received, BYTES, "B/s")
            yield Row(f"{name} sends while it is awake, until all are greeted", sent, BYTES, "B/s")


def entries(value: object) -> int:
    """How many entries all tables in a value have; what mesh-sync applied is not counted."""
    if isinstance(value, Mapping):
        return len(value) + sum(map(entries, value.values()))
    if isinstance(value, tuple | frozenset):
        return len(value) + sum(entries(one) for one in value)
    if isinstance(value, Declared):
        return 0
    fields = getattr(value, "__attrs_attrs__", ())
    return sum(entries(getattr(value, one.name)) for one in fields)
