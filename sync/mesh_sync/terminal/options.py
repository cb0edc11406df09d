"""What several commands share: options, and the ways of printing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click

from mesh_sync.node.config import DEFAULT_CONFIG

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, readable=False),
    default=DEFAULT_CONFIG,
    show_default=True,
    metavar="FILE",
    help="This machine's node.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show the commands that change something.")
directory_argument = click.argument(
    "directory", type=click.Path(path_type=Path, file_okay=False, exists=True), default=Path(), metavar="[DIR]"
)
repository_option = click.option(
    "-C",
    "directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    metavar="DIR",
    help="The mesh repository's working copy; by default the current directory.",
)
commit_option = click.option("--commit", is_flag=True, help="Commit what is written, and nothing else.")


def print_json(value: object) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(value, indent=2))


def confirm_on_terminal() -> Callable[[str], bool] | None:
    """A way to ask the person at the terminal; None when there is none."""
    return click.confirm if sys.stdin.isatty() and sys.stdout.isatty() else None


def echo_command(text: str) -> None:
    """Show a command that changes something, as a shell would with -x."""
    click.secho(f"+ {text}", dim=True, err=True)
