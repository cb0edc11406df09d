"""The measurements of mesh-sync, side by side with what else would do the work. No test: a table of medians.

`script/bench` runs this. Programs that are compared run in turns, so that a noisy machine is noisy for both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from bench import converge, faults, living, nat, recovery, recovery_cost, rendering, scale, table, trust, web, week
from bench.series import Row

from lab import available

ROWS: Mapping[str, Callable[[bool], Iterator[Row]]] = {
    "idle": living.idle,
    "render": rendering.render,
    "all": rendering.everything,
    "apply": living.apply,
    "trust": trust.trust,
}
BY_DEFAULT = ("idle", "render", "all", "apply")
TABLES = ("recovery", "cost", "faults", "nat", "scale", "converge", "web", "week")
"""Measured only when they are asked for; each has tables of its own."""
IN_LAB = ("idle", "apply", "recovery", "cost", "faults", "nat", "converge")


def main() -> None:
    """Measure the rows that were asked for, and print the table."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__.partition("\n")[0])
    others = ", ".join([*(name for name in ROWS if name not in BY_DEFAULT), *TABLES])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(BY_DEFAULT)}: by default; {others}")
    parser.add_argument("--full", action="store_true", help="more runs, and meshes up to 3,000 peers: half an hour")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="recovery: one run, without keepalives; faults: each once; nat: each twice; scale, web: each once; "
        "week: a tenth of it",
    )
    parser.add_argument("--days", type=float, default=week.DAYS, metavar="DAYS", help="of the week: so many; 7")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--before", type=Path, metavar="DIR", help="of idle: beside the version in this checkout")
    asked = parser.parse_args()
    names = asked.rows or list(BY_DEFAULT)
    if unknown := set(names) - ROWS.keys() - set(TABLES):
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    if not rendering.MESHCONF.exists() and "all" in names:
        names.remove("all")
        print("bench: wg-meshconf could not be installed; its rows are left out", file=sys.stderr)
    if (reason := available()) and set(names) & set(IN_LAB):
        names = [name for name in names if name not in IN_LAB]
        print(f"bench: rows that need the lab are left out: {reason}", file=sys.stderr)
    show = table.markdown if asked.markdown else table.text
    measured: dict[str, Callable[[bool], Iterator[Row]]] = {
        **ROWS,
        "idle": partial(living.idle, before=asked.before and asked.before.resolve()),
    }
    if rows := list(_rows({name: measured[name] for name in names if name in ROWS}, asked.full)):
        print(show(table.lines_of(rows)))
        print("Medians: of time by the clock, of CPU time, of peak memory. What stands beside ran in turns with ours.")
    if "recovery" in names:
        for lines in recovery.recovery(1 if asked.quick else 5 if asked.full else 2, (0,) if asked.quick else (0, 25)):
            print(f"{show(lines)}\n")
        print(recovery.NOTE)
    if "cost" in names:
        print(f"{show(recovery_cost.cost())}\n{recovery_cost.NOTE}")
    if "faults" in names:
        for lines in faults.faults(1 if asked.quick else 20 if asked.full else 5):
            print(f"{show(lines)}\n")
        print(faults.NOTE)
    if "nat" in names:
        for lines in nat.nat(asked.quick):
            print(f"{show(lines)}\n", flush=True)
        print(nat.NOTE)
    if "scale" in names:
        for lines in scale.scale(1 if asked.quick else 5 if asked.full else 3):
            print(f"{show(lines)}\n", flush=True)
        print(scale.NOTE)
    if "web" in names:
        for lines in web.web(1 if asked.quick else 10 if asked.full else 3):
            print(f"{show(lines)}\n", flush=True)
        print(web.NOTE)
    if "week" in names:
        for lines in week.week(asked.quick, asked.days):
            print(f"{show(lines)}\n", flush=True)
        print(week.NOTE)
    if "converge" in names:
        print(f"{show(converge.converge(2 if asked.quick else 20 if asked.full else 8))}\n{converge.NOTE}")
    in_lab = not reason and bool(set(names) & {*IN_LAB, "scale"})
    print(f"\n{table.machine(wireguard_in_lab=in_lab)}")


def _rows(measured: Mapping[str, Callable[[bool], Iterator[Row]]], full: bool) -> Iterator[Row]:
    for rows in measured.values():
        for row in rows(full):
            print("  ".join(filter(None, table.cells(row))), file=sys.stderr)
            yield row


if __name__ == "__main__":
    main()
