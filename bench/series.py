"""Series of measurements, and the rows of the table that they make."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MEASURE = ("python3", "-S", "-E", str(Path(__file__).with_name("measure.py")))


@dataclass(frozen=True)
class Command:
    """A program to measure; ``before`` is run before it each time, and not measured. ``deadline`` in seconds."""

    argv: Sequence[str]
    before: Sequence[str] = ()
    deadline: int = 0


@dataclass(frozen=True)
class Series:
    """What each run of a program took: seconds by the clock and of CPU, MiB at the peak. Properties are medians."""

    samples: tuple[tuple[float, float, float], ...]

    @property
    def seconds(self) -> float:
        return statistics.median(seconds for seconds, _, _ in self.samples)

    @property
    def cpu(self) -> float:
        """Hardly touched by what else the machine does."""
        return statistics.median(cpu for _, cpu, _ in self.samples)

    @property
    def mib(self) -> float:
        return statistics.median(mib for _, _, mib in self.samples)

    def __add__(self, other: Series) -> Series:
        return Series(self.samples + other.samples)


@dataclass(frozen=True)
class Row:
    """One line: a program of ours, what it stands beside, and the goal in words with whether it is met."""

    name: str
    ours: Series
    peer: str = ""
    theirs: Series | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Our median over theirs; of two series taken in turns."""
        return self.ours.seconds / self.theirs.seconds if self.theirs else None


Runner = Callable[[Sequence[str], str], str]
"""Runs an argv with an input, here or on a host of the lab, and returns what it printed."""


def here(argv: Sequence[str], text: str) -> str:
    """Run on this machine."""
    done = subprocess.run(argv, input=text, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit("bench: a program that was measured failed; see above")
    return done.stdout


def measure(runs: int, *commands: Command, run: Runner = here) -> list[Series]:
    """Run the commands in turns, each ``runs`` times."""
    order = {"runs": runs, "commands": [vars(command) for command in commands]}
    found = json.loads(run(MEASURE, json.dumps(order)))
    return [Series(tuple((clock, cpu, mib) for clock, cpu, mib in samples)) for samples in found]


def duration(seconds: float) -> str:
    """As a person reads it."""
    if math.isinf(seconds):
        return "not done"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
