"""Rows about trust: a node that was away verifies the commits that it missed, of admins and nodes in turns."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import signed_history
from bench.series import Command, Row, measure

CATCH_UP = str(Path(__file__).with_name("catch_up.py"))


def trust(full: bool) -> Iterator[Row]:
    """Beside the same with `git verify-commit` for each commit; in commits a second as well."""
    for count in (100, 2000, 10_000) if full else (100, 2000):
        with TemporaryDirectory() as name:
            first, last = signed_history.history(count, Path(name) / "mesh")
            argv = [sys.executable, CATCH_UP, f"{name}/mesh", first, last]
            ours, theirs = measure(5 if full else 3, Command(argv), Command([*argv, "git"]))
        rate = f"{count / ours.seconds:,.0f} commits/s"
        row = Row(f"catch up {count:,} commits: {rate}", ours, "git verify-commit for each", theirs)
        if count == 2000:
            row = Row(row.name, ours, row.peer, theirs, "1,080 commits/s", count / ours.seconds >= 1080)
        yield row
