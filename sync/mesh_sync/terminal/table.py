"""Tables and counts as both command lines print them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click


def count(number: int, noun: str) -> str:
    """``1 peer``, ``2 peers``."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under a row of headings: aligned on a terminal, separated by tabs elsewhere."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich import console, table  # takes 50 ms, and only a table on a terminal needs it

    shown = table.Table(*rows[0], box=None)
    for row in rows[1:]:
        shown.add_row(*row)
    console.Console(markup=False, emoji=False, highlight=False).print(shown)
