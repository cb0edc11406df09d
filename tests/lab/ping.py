"""Who reaches whom, and how many packets a disturbance costs."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
import signal
import time
from collections.abc import Iterable, Iterator, Mapping

from lab.host import Host
from lab.waiting import eventually, until

_ANSWER = re.compile(r"^\[([\d.]+)\] \d+ bytes from .*icmp_seq=(\d+)", re.MULTILINE)
ON_THE_WAY = 3.0
"""Seconds that an answer may take, on a busy machine, before its packet counts as lost."""
_SENT = re.compile(r"^(\d+) packets transmitted", re.MULTILINE)


def reachability(pairs: Iterable[tuple[Host, str]], *, deadline: int = 2) -> Mapping[tuple[str, str], bool]:
    """Given (host, address) pairs, return which answer within `deadline` seconds; all are asked at once."""
    asked = {
        (host.name, address): host.popen(["ping", "-q", "-n", "-c1", f"-w{deadline}", address])
        for host, address in pairs
    }
    for process in asked.values():
        process.communicate(timeout=deadline + 10)
    return {pair: process.returncode == 0 for pair, process in asked.items()}


def first_answer(host: Host, address: str, *, seconds: int = 15) -> None:
    """Ping until the first answer. CalledProcessError when there is none in time."""
    host.run(["ping", "-q", "-i", "0.2", "-c", "1", "-w", str(seconds), address])


@dataclasses.dataclass
class Loss:
    """What a steady ping saw, filled in when it ends.

    `longest_gap` is the most packets lost in a row, `longest_silence` the most seconds without an answer.
    """

    sent: int = 0
    received: int = 0
    longest_gap: int = 0
    longest_silence: float = 0.0

    @property
    def lost(self) -> int:
        return self.sent - self.received


@contextlib.contextmanager
def steady_ping(host: Host, address: str, *, interval: float = 0.01) -> Iterator[Loss]:
    """Ping through the body of the `with`, aiming at 100 packets a second."""
    loss = Loss()
    begin = time.time()
    pings = Pings(host, address, interval)
    try:
        yield loss
    finally:
        end = time.time()
        eventually(lambda: pings.answers(end), ON_THE_WAY)
        pings.end()
        _count(loss, pings.output(), begin, end)


def _count(loss: Loss, output: str, begin: float, end: float) -> None:
    """What was sent until the first answer after the end counts: by then earlier answers have come, or never will."""
    answers = [(float(when), int(number)) for when, number in _ANSWER.findall(output)]
    sent = _SENT.search(output)
    assert sent is not None, f"ping said: {output}"
    loss.sent = next((number for when, number in answers if when > end), int(sent[1]))
    answered = {number for _, number in answers if number <= loss.sent}
    loss.received = len(answered)
    steps = itertools.pairwise([0, *sorted(answered), loss.sent + 1])
    loss.longest_gap = max(after - before - 1 for before, after in steps)
    moments = itertools.pairwise([begin, *(when for when, _ in answers if when <= end), end])
    loss.longest_silence = max(after - before for before, after in moments)


class Pings:
    """A ping that goes on, five to the second unless told otherwise; `since` says when it was first answered."""

    def __init__(self, host: Host, address: str, interval: float = 0.2) -> None:
        self._file = host.directory / f"ping.{address}.{time.monotonic_ns()}"
        with self._file.open("wb") as out:
            self.program = host.popen(["ping", "-D", "-n", "-i", str(interval), address], stdout=out.fileno())

    def output(self) -> str:
        """All that ping has said so far."""
        return self._file.read_text()

    def answers(self, since: float) -> list[float]:
        """The moments (wall clock) of the answers after that moment."""
        moments = (float(when) for when, _ in _ANSWER.findall(self.output()))
        return [when for when in moments if when > since]

    def flows(self, since: float, seconds: float = 20.0) -> float:
        """Wait for an answer; return how many seconds after the moment it came."""
        until(lambda: self.answers(since), seconds, what="an answer to a ping")
        return self.answers(since)[0] - since

    def end(self) -> None:
        self.program.send_signal(signal.SIGINT)
        self.program.wait(timeout=10)


@contextlib.contextmanager
def pinging(host: Host, *addresses: str, interval: float = 0.2) -> Iterator[tuple[Pings, ...]]:
    """Traffic to all of these addresses."""
    pings = tuple(Pings(host, address, interval) for address in addresses)
    try:
        yield pings
    finally:
        for ping in pings:
            ping.end()
