"""What the watchdog says while it runs: to the journal each thing an operator can act on, to systemd; and its tally."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import Factory, define

from mesh_watchdog.policy.actions import Announce

log = logging.getLogger("mesh_watchdog")

REPEAT = 60.0
"""Seconds within which the same thing is not said twice of a peer."""

MOST_FAILURES = 100
"""Failures that are told apart; a flood of them says no more."""

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 5))


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
        self._failures = set[str]()
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

    @contextmanager
    def survived(self, what: str) -> Iterator[None]:
        """Do what may fail in a way that was not thought of, and go on: peers are watched whatever else fails.

        It is said once, with the traceback, and is a problem until ``what`` works.
        """
        try:
            yield
        except Exception as error:
            text = f"{what} failed: {type(error).__name__}: {error}"
            self.changes += self._present.get(what) != text
            self._present[what] = text
            if text not in self._failures and len(self._failures) < MOST_FAILURES:
                self._failures.add(text)
                log.exception("%s; the watchdog goes on", text)
        else:
            self.changes += self._present.pop(what, "") != ""

    @property
    def present(self) -> tuple[str, ...]:
        return tuple(self._present.values())


class Announcer:
    """What happens to peers, said once."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[float, str]] = {}

    def say(self, note: Announce, name: str) -> None:
        """``name``: whom it is about."""
        moment = time.monotonic()
        said_at, text = self._said.get(note.key, (float("-inf"), ""))
        if text == note.text and moment - said_at < REPEAT:
            return
        self._said[note.key] = moment, note.text
        (log.warning if note.urgent else log.info)("%s %s", name, note.text)

    def forget(self, key: str) -> None:
        """Whatever is said next of this peer is new."""
        self._said.pop(key, None)


@define
class Tally:
    """What the watchdog did since it started: numbers that only grow.

    By public key: ``writes`` of endpoints, ``avoided`` (it was heard in between), ``searches``; the rest in all.
    """

    writes: Counter[str] = Factory(Counter)
    avoided: Counter[str] = Factory(Counter)
    searches: Counter[str] = Factory(Counter)
    probes: int = 0
    openers: int = 0
    dns_queries: int = 0
    dns_failures: int = 0
    readings: int = 0


def notify(*lines: str) -> None:
    """Tell systemd lines like READY=1 (sd_notify(3)). Does nothing outside systemd, and never fails."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return
    address = "\0" + place[1:] if place.startswith("@") else place
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), address)
    except OSError:
        return


def ping_interval() -> float:
    """Seconds between the pings to systemd that WatchdogSec asks for: half of it; 0 when it does not."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
    except ValueError:
        return 0.0
