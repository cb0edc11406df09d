"""A simulated week of a large mesh: what is found in it, and what is promised (`sim.large` says what is modelled)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from bench.series import duration
from bench.table import Lines

from sim.large import Life, Mesh
from sim.large.figures import Row

WORLDS = ((2000, ("public", "named"), 1 / 42), (400, ("easy", "hard"), 1 / 56))
"""Nodes, the kinds of those with the real policy, and the share of time for which these are awake."""
SEED, DAYS = 1, 7.0
NOTE = (
    "Real: the policy of the sampled nodes with all their peers, and of all nodes that of news. Modelled: the rest.\n"
    "Sampled nodes sleep most of the time. A wait is counted from the last thing that disturbed a pair for which\n"
    "there is a path; a pair is lost if it is longer than the bound."
)


def week(quick: bool, days: float = DAYS) -> Iterator[Lines]:
    """Live through so many days, or a tenth of them; one table for each world."""
    for nodes, kinds, awake in WORLDS:
        began = time.process_time()
        life = Life(Mesh(SEED, nodes, kinds), days / 10 if quick else days, awake=awake)
        life.run()
        figures = life.mesh.figures
        for line in figures.lost[:10]:
            print(f"week: lost: {line}", file=sys.stderr)
        steps = sum(one.steps for one in life.mesh.sampled.values())
        what = (
            f"{nodes:,} nodes, {life.days:g} days: {life.events:,} events, {life.mesh.gossip.newest} commits, "
            f"{figures.audits:,} conversations, {steps:,} steps, {duration(time.process_time() - began)} CPU"
        )
        yield [(what, "found", "at most", "met"), *map(_cells, figures.rows())]


def _cells(row: Row) -> tuple[str, ...]:
    unit = f" {row.unit}" if row.unit else ""
    return row.name, f"{row.found:,.0f}{unit}", f"{row.bound:,.0f}{unit}", "yes" if row.met else "NO"
