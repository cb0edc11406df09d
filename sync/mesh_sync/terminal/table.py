"""Tables and counts as both command lines print them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click


def count(number: int, noun: str) -> str:
    """``1 peer``, ``2 peers``."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def table(rows: Sequence[tuple[str, ...]]) -> None:
    """Rows under a row of headings: aligned on a terminal, separated by tabs elsewhere."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    # rich takes 50 ms to import; only a table on a terminal needs it
    from rich.console import Console
    from rich.table import Table

    shown = Table(*rows[0], box=None)
    for row in rows[1:]:
        shown.add_row(*row)
    Console(markup=False, emoji=False, highlight=False).print(shown)
