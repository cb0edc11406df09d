"""Options that several commands share, and the ways of asking and telling a person."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import click

file = click.Path(path_type=Path, dir_okay=False)
existing_file = click.Path(path_type=Path, dir_okay=False, exists=True)
folder = click.Path(path_type=Path, file_okay=False)
_directory = click.Path(path_type=Path, file_okay=False, exists=True)

verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show the commands that change something.")
directory_argument = click.argument("directory", type=_directory, default=Path(), metavar="[DIR]")
repository_option = click.option("-C", "directory", type=_directory, default=Path(), metavar="DIR",
                                 help="The working copy of the mesh repository. [default: the current directory]",
                                 )  # fmt: skip
commit_option = click.option("--commit", is_flag=True, help="Commit the files that are written, and nothing else.")
private_key_option = click.option("--private-key-file", type=file, metavar="F",
                                  help="The peer's private key; without it a placeholder is printed.")  # fmt: skip
secret_option = click.option("--secret-file", type=file, metavar="F", help="The mesh secret, for preshared keys.")


def date_or_moment(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    """A date, or a moment (a datetime), as TOML writes them."""
    if value is None:
        return None
    try:
        return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date such as 2030-12-31 or 2030-12-31T18:00:00Z") from None


def confirm_on_terminal() -> Callable[[str], bool] | None:
    """A way to ask the person at the terminal; None when there is none."""
    return click.confirm if sys.stdin.isatty() and sys.stdout.isatty() else None


def command_echo(verbose: bool) -> Callable[[str], None]:
    """What shows each command that changes something, as a shell does with -x; nothing unless ``verbose``."""
    return (lambda text: click.secho(f"+ {text}", dim=True, err=True)) if verbose else (lambda text: None)
