"""The table: plain text for a terminal, Markdown for a page."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from bench.series import Row, duration

from lab import Lab

Lines = Sequence[tuple[str, ...]]
"""A table of cells; the first line is its head."""
HEAD = ("row", "median", "cpu", "peak", "beside", "median", "cpu", "peak", "ratio", "runs", "goal", "met")


def cells(row: Row) -> tuple[str, ...]:
    """One row as text."""
    theirs = row.theirs
    runs = str(len(row.ours.samples)) + (f"/{len(theirs.samples)}" if theirs else "")
    return (
        row.name,
        duration(row.ours.seconds),
        duration(row.ours.cpu),
        f"{row.ours.mib:.1f} MiB",
        row.peer,
        duration(theirs.seconds) if theirs else "",
        duration(theirs.cpu) if theirs else "",
        f"{theirs.mib:.1f} MiB" if theirs else "",
        ratio(row.ratio),
        runs,
        row.goal,
        {True: "yes", False: "NO", None: ""}[row.met],
    )


def ratio(value: float | None) -> str:
    """How many times longer; or, below one, how many times quicker."""
    if value is None or math.isinf(value) or value == 0:
        return ""
    return f"{value:.2f}x" if value > 0.5 else f"1/{1 / value:.0f}"


def lines_of(rows: Sequence[Row]) -> Lines:
    """The rows below their head."""
    return [HEAD, *map(cells, rows)]


def text(lines: Lines) -> str:
    """Aligned columns; the empty ones are left out."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    kept = [index for index in range(len(lines[0])) if any(line[index] for line in lines[1:])]
    return "\n".join("  ".join(line[index].ljust(widths[index]) for index in kept).rstrip() for line in lines)


def markdown(lines: Lines) -> str:
    """The same as a Markdown table."""
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *rest))


def machine(*, wireguard_in_lab: bool) -> str:
    """What the figures were taken on, in a sentence."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    parts = [
        f"{os.cpu_count()} cores ({next(models, platform.machine())})",
        f"Python {platform.python_version()}",
        f"Linux {platform.release()}",
    ]
    if wireguard_in_lab:
        with Lab() as lab:
            parts.append("its own WireGuard" if lab.kernel_wireguard else "wireguard-go (no WireGuard in the kernel)")
    return f"{', '.join(parts)}; load {os.getloadavg()[1]:.1f}."
