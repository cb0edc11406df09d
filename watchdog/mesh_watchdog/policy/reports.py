"""What other peers say of where one is, how long that counts, and who was asked. `rendezvous` decides by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen

from mesh_watchdog.policy.dns_names import numeric
from mesh_watchdog.policy.observations import Reported
from mesh_watchdog.policy.repeating import repeating

REPORT_AGE = 180.0
"""What was seen longer ago is no report any more (R14)."""
REPORTS_OF_ONE = 8
"""From one observer, of one peer; what it says beyond that is dropped …"""
REPORTS = 16
"""… and of one peer in all: the freshest stay."""
SEEN, TOLD = "seen", "told"
"""Where an endpoint comes from: an observer sees the peer there, or the peer says so itself."""
DEAF_AFTER = 3.0
"""An observer that did not answer for so long is not asked …"""
DEAF_FOR = (5.0, 15.0, 60.0, 300.0)
"""… until this long after the question: an answer may be lost, its watchdog may be about to start, or be of a version
that answers no calls, or there is none, as on a phone. The last one repeats."""


@frozen
class Report:
    """A peer was at ``endpoint`` at the moment ``seen``, says ``observer``; ``own``: it says so itself."""

    endpoint: str
    observer: str
    seen: float
    own: bool = False


@frozen
class Unanswered:
    """A question ``since`` when an observer owes an answer, the ``times``-th in a row that it did not answer."""

    since: float
    times: int = 1

    @property
    def until(self) -> float:
        return self.since + repeating(DEAF_FOR, self.times - 1)


@frozen
class Calling:
    """The search for one peer by others: how often they were asked since it fell silent, and when they are next."""

    count: int = 0
    next: float = float("-inf")


@frozen(kw_only=True)
class Rendezvous:
    """``reports``: by the key of the peer they are about, this node's own included; ``told``: peers of which something
    was reported that was not made use of yet, since when; ``calls``: the searches under way; ``waiting``: observers
    that owe an answer, since when; ``allowance``, ``called``: what is left of the calls, at which moment; ``aimed``:
    packets to reported addresses in the last minute, with the observer; ``moved``: when this node's network changed;
    ``published``: how often it has asked since then where it is seen, and ``publish`` when it does so next; ``nat``:
    the class of the NAT it is behind, and ``said`` the one that was last announced; ``answered``: when an observer was
    last heard.
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
    """What is reported of a peer and still counts, the freshest first; what others saw before what it says itself."""
    found = (report for report in known.reports.get(key, ()) if moment - report.seen <= REPORT_AGE)
    return tuple(sorted(found, key=lambda report: (report.own, -report.seen, report.endpoint)))


def with_reports(known: Rendezvous, reported: Reported, moment: float) -> Rendezvous:
    """Take in what an observer says of a peer: it replaces what it said before, and is one of `REPORTS`."""
    about, observer, said = reported.about, reported.observer, dict[str, Report]()
    for sighting in reported.sightings:
        if len(said) == REPORTS_OF_ONE:
            break
        if 0.0 <= sighting.age <= REPORT_AGE and numeric(sighting.endpoint):
            report = Report(sighting.endpoint, observer, moment - sighting.age, sighting.own)
            said.setdefault(sighting.endpoint, report)
    before = (report for report in fresh(known, about, moment) if report.observer != observer)
    merged = sorted((*said.values(), *before), key=lambda report: -report.seen)
    return evolve(known, reports={**known.reports, about: tuple(merged[:REPORTS])})


def has_asked(known: Rendezvous, observers: Iterable[str], moment: float) -> Rendezvous:
    """These owe an answer from now on, unless they do already."""
    waiting = dict(known.waiting)
    for key in observers:
        before = waiting.get(key)
        if before is None or moment >= before.until:
            waiting[key] = Unanswered(moment, before.times + 1 if before else 1)
    return known if waiting == known.waiting else evolve(known, waiting=waiting)


def has_answered(known: Rendezvous, observer: str, moment: float) -> Rendezvous:
    """Who answers, or passes on a search of its own accord, is not deaf."""
    waiting = {key: since for key, since in known.waiting.items() if key != observer}
    return evolve(known, waiting=waiting, answered=moment)


def is_deaf(known: Rendezvous, observer: str, moment: float) -> bool:
    """Whether it did not answer lately."""
    waiting = known.waiting.get(observer)
    return waiting is not None and waiting.since + DEAF_AFTER < moment < waiting.until
