"""What peers report of where others are, how long that counts, and who was asked. `rendezvous` acts on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen

from mesh_watchdog.policy.dns_names import numeric
from mesh_watchdog.policy.observations import Reported
from mesh_watchdog.policy.repeating import repeating

REPORT_AGE = 180.0
"""Seconds for which a sighting counts (R14)."""
REPORTS_OF_ONE = 8
"""Reports that are kept from one observer about one peer …"""
REPORTS = 16
"""… and about one peer in all: the freshest of each observer first."""
SEEN, TOLD = "seen", "told"
"""The source of an endpoint: an observer sees the peer there, or the peer says that it is there."""
DEAF_AFTER = 3.0
"""An observer that has not answered for this many seconds is not asked …"""
DEAF_FOR = (5.0, 15.0, 60.0, 300.0)
"""… until this many seconds after the question. An answer may be lost; its watchdog may be about to start, may be of a
version that answers no calls, or may not exist, as on a phone. The last one repeats."""


@frozen
class Report:
    """``observer`` says that a peer was at ``endpoint`` at the moment ``seen``; ``own``: the peer says so itself."""

    endpoint: str
    observer: str
    seen: float
    own: bool = False


@frozen
class Unanswered:
    """A question that an observer has not answered ``since`` then, the ``times``-th in a row."""

    since: float
    times: int = 1

    @property
    def until(self) -> float:
        return self.since + repeating(DEAF_FOR, self.times - 1)


@frozen
class Calling:
    """How often others were asked for a peer since it fell silent, and when they are asked next."""

    count: int = 0
    next: float = float("-inf")


@frozen(kw_only=True)
class Rendezvous:
    """``reports``: by the key of the peer they are about, which may be this node's own; ``told``: peers with reports
    that were not acted on yet, and since when; ``calls``: the searches under way; ``waiting``: observers that owe an
    answer; ``allowance``: calls that were left at the moment ``called``; ``aimed``: packets to reported addresses in
    the last minute, each with its moment, address and observer; ``moved``: when this node's network last changed;
    ``published``: how often it has asked since then where it is seen, ``publish``: when it asks next; ``nat``: the
    class of its NAT, ``said``: the class that was last announced; ``answered``: when an observer was last heard.
    """

    reports: Mapping[str, tuple[Report, ...]] = field(factory=dict)
    told: Mapping[str, float] = field(factory=dict)
    calls: Mapping[str, Calling] = field(factory=dict)
    waiting: Mapping[str, Unanswered] = field(factory=dict)
    allowance: float = 0.0
    called: float = float("-inf")
    aimed: tuple[tuple[float, str, str], ...] = ()
    published: int = 0
    publish: float = float("-inf")
    moved: float = float("-inf")
    nat: str = "unknown"
    said: str = "unknown"
    answered: float = float("-inf")


def fresh(known: Rendezvous, key: str, moment: float) -> tuple[Report, ...]:
    """The reports about a peer that still count, what others saw before what it says itself (`_by_turns`)."""
    found = (report for report in known.reports.get(key, ()) if moment - report.seen <= REPORT_AGE)
    return tuple(sorted(_by_turns(found), key=lambda report: report.own))


def _by_turns(reports: Iterable[Report]) -> list[Report]:
    """The freshest of each observer, then the second of each, and so on: who says much leaves no other one out."""
    said, turns = Counter[tuple[str, bool]](), list[tuple[int, Report]]()
    for report in sorted(reports, key=lambda report: (-report.seen, report.endpoint)):
        turns.append((said[report.observer, report.own], report))
        said[report.observer, report.own] += 1
    return [report for _, report in sorted(turns, key=lambda one: one[0])]


def with_reports(known: Rendezvous, reported: Reported, moment: float) -> Rendezvous:
    """Take in what an observer says of a peer, in place of what it said before; at most `REPORTS` are kept."""
    about, observer, said = reported.about, reported.observer, dict[str, Report]()
    for sighting in reported.sightings:
        if len(said) == REPORTS_OF_ONE:
            break
        if 0.0 <= sighting.age <= REPORT_AGE and numeric(sighting.endpoint):
            report = Report(sighting.endpoint, observer, moment - sighting.age, sighting.own)
            said.setdefault(sighting.endpoint, report)
    before = (report for report in fresh(known, about, moment) if report.observer != observer)
    merged = _by_turns((*said.values(), *before))
    return evolve(known, reports={**known.reports, about: tuple(merged[:REPORTS])})


def has_asked(known: Rendezvous, observers: Iterable[str], moment: float) -> Rendezvous:
    """Note that these owe an answer, unless they already did."""
    waiting = dict(known.waiting)
    for key in observers:
        before = waiting.get(key)
        if before is None or moment >= before.until:
            waiting[key] = Unanswered(moment, before.times + 1 if before else 1)
    return known if waiting == known.waiting else evolve(known, waiting=waiting)


def has_answered(known: Rendezvous, observer: str, moment: float) -> Rendezvous:
    """An observer that answers, or passes on a search unasked, is not deaf."""
    waiting = {key: since for key, since in known.waiting.items() if key != observer}
    return evolve(known, waiting=waiting, answered=moment)


def is_deaf(known: Rendezvous, observer: str, moment: float) -> bool:
    """Whether the observer owes an answer for too long to be asked again yet."""
    waiting = known.waiting.get(observer)
    return waiting is not None and waiting.since + DEAF_AFTER < moment < waiting.until
