"""Writes docs/reference.md from the help of every command, so that the two never differ."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from mesh_sync.cli.main import cli
from mesh_watchdog.cli import cli as watchdog_cli

PAGE = Path(__file__).parents[1] / "docs/reference.md"
HEAD = """\
# Reference: commands

Written by `script/reference` from the commands' own help: change it there.
"""


def main() -> int:
    """Write the page, or with --check compare it; exit 1 when it is not up to date."""
    commands = (*_command(cli, "mesh-sync", None), *_command(watchdog_cli, "mesh-watchdog", None))
    text = HEAD + "".join(commands)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    print("docs/reference.md is not up to date; next: script/reference", file=sys.stderr)
    return 1


def _command(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, help_option_names=["-h", "--help"])
    yield f"\n## {context.command_path}\n\n"
    yield f"`{' '.join([context.command_path, *command.collect_usage_pieces(context)])}`\n"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield _paragraph(paragraph)
    options = [option for option in command.params if isinstance(option, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context))]
    if records:
        yield "\n| option | |\n|---|---|\n"
        yield from (f"| `{_cell(names)}` | {_cell(words)} |\n" for names, words in records)
    if isinstance(command, click.Group):
        for part in sorted(command.list_commands(context)):
            found = command.get_command(context, part)
            assert found
            yield from _command(found, part, context)


def _paragraph(text: str) -> str:
    """A paragraph that starts with \\b keeps its lines, as on a terminal."""
    kept = text.removeprefix("\b\n")
    return f"\n```\n{kept}\n```\n" if kept != text else f"\n{' '.join(text.split())}\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
