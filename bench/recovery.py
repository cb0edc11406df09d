"""Seconds from a change of address until pings flow again: WireGuard alone, with reresolve-dns.sh, with mesh-watchdog.

All labs run side by side, because what happens in them is mostly waiting.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.recovery_world import (
    ALONE,
    BAD,
    BOTH,
    BOUND,
    CASES,
    EVERY,
    NAME,
    NAT,
    OWN,
    SCRIPT,
    WATCHDOG,
    WAYS,
    Found,
    Kind,
    World,
    script,
)
from bench.table import Lines

BUILDERS = 4
"""Labs that are built at the same time."""
TOGETHER = 1
"""Runs at the same time: wireguard-go and a watchdog take an inotify instance each, of the 128 that a machine has."""
WORDS = {
    OWN: "a machine gets another address",
    NAT: "the provider moves a site",
    NAME: "the same; only its name tells where",
    BOTH: "the provider moves both ends at once",
    BAD: "a site, only its name tells; one bad name in the list",
}
GOALS: dict[str, Callable[[float, float], bool]] = {
    OWN: lambda ours, _: ours < 1,
    NAT: lambda ours, _: ours <= 3,
    NAME: lambda ours, _: ours <= 3,
    BOTH: lambda ours, _: ours <= 5,
}
GOAL_WORDS = {OWN: "1 s", NAT: "3 s", NAME: "3 s", BOTH: "5 s"}


def recovery(runs: int, keepalives: Sequence[int]) -> Iterator[Lines]:
    """Measure; return the table of the outages, and that of what else each way does."""
    if script() is None:
        sys.exit("bench: there is no reresolve-dns.sh; it is in the package wireguard-tools")
    found = list[Found]()
    for first in range(0, runs, TOGETHER):
        # Without help it takes the same each time.
        ways = {run: WAYS if run == 0 else (SCRIPT, WATCHDOG) for run in range(first, min(first + TOGETHER, runs))}
        kinds = [Kind(way, keep, run / runs) for run in ways for keep in keepalives for way in ways[run]]
        if first == 0:
            kinds += [Kind(way, 0, 0, bad_name=True) for way in WAYS]
        found += _side_by_side(kinds)
    yield _outages(found, keepalives)
    yield _harm(found, keepalives)


def _side_by_side(kinds: Sequence[Kind]) -> list[Found]:
    with contextlib.ExitStack() as stack:
        worlds = list[World]()

        def build(kind: Kind) -> None:
            world = World(kind)
            stack.callback(world.lab.close)
            world.build()
            worlds.append(world)

        with ThreadPoolExecutor(BUILDERS) as pool:
            list(pool.map(build, kinds))
        print(
            f"bench: {len(worlds)} labs are up; for {(BOUND + 140) / 60:.0f} minutes it goes on there", file=sys.stderr
        )
        with ThreadPoolExecutor(len(worlds)) as pool:
            return list(pool.map(World.run, worlds))


def _outages(found: Sequence[Found], keepalives: Sequence[int]) -> Lines:
    lines: list[tuple[str, ...]] = [("what happens", "keepalive", *WAYS, "ratio", "each of ours", "goal", "met")]
    for case in (*CASES, BAD):
        for keepalive in keepalives if case != BAD else (0,):
            taken = {way: _taken(found, case, way, keepalive) for way in WAYS}
            ours, theirs = statistics.median(taken[WATCHDOG]), statistics.median(taken[SCRIPT])
            met = {True: "yes", False: "NO"}[GOALS[case](ours, theirs)] if case in GOALS else ""
            lines.append(
                (
                    WORDS[case],
                    str(keepalive),
                    *(_seconds(statistics.median(taken[way])) for way in WAYS),
                    _ratio(theirs, ours),
                    ", ".join(map(_bare, sorted(taken[WATCHDOG]))),
                    GOAL_WORDS.get(case, ""),
                    met,
                )
            )
    return lines


def _taken(found: Sequence[Found], case: str, way: str, keepalive: int) -> list[float]:
    return [
        one.outages[case]
        for one in found
        if case in one.outages and (one.kind.way, one.kind.keepalive) == (way, keepalive)
    ]


def _harm(found: Sequence[Found], keepalives: Sequence[int]) -> Lines:
    """A peer that roamed, whose name is out of date, and that was idle for three minutes."""
    lines: list[tuple[str, ...]] = [("a peer that roamed away from its name, idle", "keepalive", *WAYS)]
    for keepalive in keepalives:
        of = {
            way: [
                one for one in found if (one.kind.way, one.kind.keepalive, one.kind.bad_name) == (way, keepalive, False)
            ]
            for way in WAYS
        }
        writes = (f"{statistics.median(one.writes for one in of[way]):.0f}" for way in WAYS)
        lines.append(("endpoints written to the two ends of that live tunnel", str(keepalive), *writes))
        lives = (f"{sum(one.lives for one in of[way])} of {len(of[way])}" for way in WAYS)
        lines.append(("… it still carries pings afterwards", str(keepalive), *lives))
    return lines


def _seconds(value: float) -> str:
    return f">{BOUND:.0f} s" if math.isinf(value) else f"{_bare(value)} s"


def _bare(value: float) -> str:
    return f">{BOUND:.0f}" if math.isinf(value) else f"{value:.1f}" if value < 20 else f"{value:.0f}"


def _ratio(theirs: float, ours: float) -> str:
    """How many times quicker than reresolve-dns.sh."""
    if math.isinf(ours):
        return ""
    return f">{BOUND / ours:.0f}x" if math.isinf(theirs) else f"{theirs / ours:.0f}x"


NOTE = (
    f"Medians of seconds from the change of address until pings flow again; the ratio is {SCRIPT} (every {EVERY} s) "
    f"over {WATCHDOG}.\n{ALONE}: nothing else runs, one run. At most {BOUND:.0f} s were waited."
)
