"""What both command lines share: options, and how JSON and tables are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mesh_sync.node.config import DEFAULT_CONFIG
from mesh_sync.terminal.exit import OutputClosed

FOLDED = 12
"""Characters, with what is between columns, to which a column of a table may shrink before its cells are unreadable."""


class Program(click.Group):
    """A program's commands. Output that is closed ends them by `ending`: click would exit with 1, "errors found"."""

    def make_context(self, *words: Any, **more: Any) -> click.Context:
        with _closed_output():
            return super().make_context(*words, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _closed_output():
            return super().invoke(ctx)


@contextmanager
def _closed_output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise OutputClosed from None


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, readable=False),
    default=DEFAULT_CONFIG,
    show_default=True,
    metavar="FILE",
    help="This machine's node.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def print_json(value: object) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(value, indent=2))


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under a row of headings: aligned on a terminal, separated by tabs elsewhere.

    On a terminal too narrow for that, each row is a list of its own, with the heading before each value.
    """
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich import console, table  # takes 50 ms, and only a table on a terminal needs it

    terminal = console.Console(markup=False, emoji=False, highlight=False)
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    if sum(min(width, FOLDED) for width in widths) > terminal.width:
        others = rows[0][1:]
        for first, *rest in rows[1:]:
            click.echo(first)
            for name, value in zip(others, rest, strict=True):
                click.echo(f"  {name:{max(map(len, others))}}  {value}")
        return
    shown = table.Table(box=None)
    for heading in rows[0]:
        shown.add_column(heading, overflow="fold")  # in a narrow window a long endpoint takes two lines, and is whole
    for row in rows[1:]:
        shown.add_row(*row)
    terminal.print(shown)
