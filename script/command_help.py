"""The help of every command, as the reference and the manual pages show it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
from attrs import frozen

from mesh_sync.cli.main import cli
from mesh_watchdog.cli import cli as watchdog_cli

PROGRAMS: dict[str, click.Group] = {"mesh-sync": cli, "mesh-watchdog": watchdog_cli}


@frozen
class Paragraph:
    """``kept``: its lines stay as they are, as on a terminal."""

    text: str
    kept: bool


@frozen
class Help:
    """What ``mesh-sync peer add --help`` says: ``path`` is ``mesh-sync peer add``, ``options`` are (names, words)."""

    path: str
    usage: str
    paragraphs: tuple[Paragraph, ...]
    options: tuple[tuple[str, str], ...]


def of(program: str) -> Iterator[Help]:
    """The program itself, then its commands by name, each followed by its own."""
    return _walk(PROGRAMS[program], program, None)


def _walk(command: click.Command, name: str, parent: click.Context | None) -> Iterator[Help]:
    context = click.Context(command, info_name=name, parent=parent, help_option_names=["-h", "--help"])
    options = [option for option in command.params if isinstance(option, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context))]
    yield Help(
        path=context.command_path,
        usage=" ".join([context.command_path, *command.collect_usage_pieces(context)]),
        paragraphs=tuple(map(_paragraph, inspect.cleandoc(command.help or "").split("\n\n"))),
        options=tuple((_one_line(names), _one_line(words)) for names, words in records),
    )
    if isinstance(command, click.Group):
        for part in sorted(command.list_commands(context)):
            found = command.get_command(context, part)
            assert found
            yield from _walk(found, part, context)


def _paragraph(text: str) -> Paragraph:
    """A paragraph that starts with \\b keeps its lines."""
    kept = text.removeprefix("\b\n")
    return Paragraph(kept, True) if kept != text else Paragraph(_one_line(text), False)


def _one_line(text: str) -> str:
    return " ".join(text.split())
