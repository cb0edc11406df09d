"""What the watchdog says while it runs: one line for each thing an operator can act on, with its priority."""

from __future__ import annotations

import logging
import os
import sys

from mesh_watchdog import clock
from mesh_watchdog.policy.events import Announce

log = logging.getLogger("mesh_watchdog")

REPEAT = 60.0
"""Seconds within which the same thing is not said twice of a peer."""

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def set_up() -> None:
    """Write to stderr; with priorities in front (sd-daemon(3)) when that is the journal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Prefixed() if _is_journal() else logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


class _Prefixed(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def _is_journal() -> bool:
    """Whether stderr is the stream that JOURNAL_STREAM names; a redirected one is not (systemd.exec(5))."""
    try:
        place = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{place.st_dev}:{place.st_ino}"


class Problems:
    """Troubles that last are said once, and once more when they are over."""

    def __init__(self) -> None:
        self._present: dict[str, str] = {}
        self.changes = 0

    def set(self, what: str, problem: str, over: str = "") -> None:
        """``problem`` is the state of ``what`` now, empty when all is well; ``over``: what to say at the end."""
        before = self._present.pop(what, "")
        self.changes += problem != before
        if problem:
            self._present[what] = problem
            if problem != before:
                log.error("%s", problem)
        elif before and over:
            log.info("%s", over)

    @property
    def present(self) -> tuple[str, ...]:
        return tuple(self._present.values())


class Announcer:
    """What happens to peers, said once."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[float, str]] = {}

    def say(self, note: Announce, name: str) -> None:
        """``name``: whom it is about."""
        moment = clock.moment()
        said_at, text = self._said.get(note.key, (float("-inf"), ""))
        if text == note.text and moment - said_at < REPEAT:
            return
        self._said[note.key] = moment, note.text
        (log.warning if note.urgent else log.info)("%s %s", name, note.text)

    def forget(self, key: str) -> None:
        """Whatever is said next of this peer is new."""
        self._said.pop(key, None)
