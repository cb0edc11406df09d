"""A group that imports a command only when it is asked for: `mesh-sync status` needs none of what `export` needs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

Commands = Mapping[str, tuple[str, str]]
"""By name: ``module:attribute`` below mesh_sync.cli, and the line about the command in its group's help."""


class LazyGroup(click.Group):
    """A click group of commands that are not imported yet, under the headings that its help shows."""

    def __init__(self, *args: Any, sections: Mapping[str, Commands], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.sections = sections
        self._places = {name: place for section in sections.values() for name, (place, _) in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._places:
            return None
        module, _, attribute = self._places[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"mesh_sync.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, section in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, words) for name, (_, words) in section.items()], col_max=16)
