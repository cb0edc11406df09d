"""When a mapping is asked for again: after half its lifetime, after errors, after the router has lost it. Pure.

Moments are seconds on the monotonic clock.
"""

from __future__ import annotations

from attrs import evolve, frozen

from mesh_watchdog.policy.repeating import repeating
from mesh_watchdog.port_mapping.answers import Granted, Refused, Why

LIFETIME = 1200
"""Seconds asked for. After half of it at most it is noticed that the router has lost its mappings, even if its message
did not reach us; for all of it, the router forwards to a machine that is gone."""
LONGEST = 7200
"""Seconds for which a mapping is believed at most, however long the router grants it."""
SOONEST = 4.0
"""Seconds between two requests (RFC 6887, section 11.2.1)."""
PAUSES = (60.0, 300.0, 1800.0, 3600.0)
"""Seconds after the first, second, ... failed request in a row: most routers never answer."""


@frozen
class Renewal:
    """``granted``: the mapping, since ``at``; ``due``: when to ask next; ``failures``: in a row."""

    granted: Granted | None = None
    at: float = 0.0
    due: float = 0.0
    failures: int = 0

    @property
    def ends(self) -> float:
        return self.at + min(self.granted.lifetime, LONGEST) if self.granted else self.at


def took(known: Renewal, answer: Granted | Refused, moment: float) -> Renewal:
    """What is known after an answer, or after none."""
    if isinstance(answer, Granted):
        fresh = Renewal(answer, moment)
        return evolve(fresh, due=moment + max(SOONEST, (fresh.ends - moment) / 2))
    failures = known.failures + 1
    if known.granted and answer.why is Why.SILENT and moment < known.ends:  # the mapping may be there yet
        return evolve(known, due=moment + max(SOONEST, (known.ends - moment) / 2), failures=failures)
    pause = max(repeating(PAUSES, failures - 1), min(answer.pause, PAUSES[-1]))
    return Renewal(None, moment, moment + pause, failures)


def has_restarted(known: Renewal, epoch: int, moment: float) -> bool:
    """Whether the router has lost its mappings since, by what its clock says now (RFC 6887, section 8.5)."""
    if known.granted is None or known.granted.epoch is None:
        return True
    ours, theirs = moment - known.at, epoch - known.granted.epoch
    if theirs < -1:
        return True
    return ours + 2 < theirs - theirs / 16 or theirs + 2 < ours - ours / 16
