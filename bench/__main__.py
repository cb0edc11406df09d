"""The measurements of mesh-sync, side by side with what else would do the work. No test: a table of medians.

`script/bench` runs this. Programs that are compared run in turns, so that a noisy machine is noisy for both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping

from bench import living, rendering, table
from bench.series import Row

from lab import available

ROWS: Mapping[str, Callable[[bool], Iterator[Row]]] = {
    "idle": living.idle,
    "render": rendering.render,
    "all": rendering.everything,
    "apply": living.apply,
}
IN_LAB = ("idle", "apply")


def main() -> None:
    """Measure the rows that were asked for, and print the table."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; by default all of them")
    parser.add_argument("--full", action="store_true", help="more runs, and meshes up to 3,000 peers: half an hour")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    asked = parser.parse_args()
    names = asked.rows or list(ROWS)
    if unknown := set(names) - ROWS.keys():
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    if not rendering.MESHCONF.exists() and "all" in names:
        names.remove("all")
        print("bench: wg-meshconf could not be installed; its rows are left out", file=sys.stderr)
    if (reason := available()) and set(names) & set(IN_LAB):
        names = [name for name in names if name not in IN_LAB]
        print(f"bench: rows that need the lab are left out: {reason}", file=sys.stderr)
    rows: list[Row] = []
    for name in names:
        for row in ROWS[name](asked.full):
            print("  ".join(filter(None, table.cells(row))), file=sys.stderr)
            rows.append(row)
    print(table.markdown(rows) if asked.markdown else table.text(rows))
    print(f"\n{table.machine(wireguard_in_lab=bool(set(names) & set(IN_LAB)))}")
    print("Medians: of time by the clock, of CPU time, of peak memory. What stands beside ran in turns with ours.")


if __name__ == "__main__":
    main()
