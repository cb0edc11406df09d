"""Options that several commands share, and how they show what changes something."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import click

file = click.Path(path_type=Path, dir_okay=False)
existing_file = click.Path(path_type=Path, dir_okay=False, exists=True)
folder = click.Path(path_type=Path, file_okay=False)
_directory = click.Path(path_type=Path, file_okay=False, exists=True)

directory_argument = click.argument("directory", type=_directory, default=Path(), metavar="[DIR]")
repository_option = click.option("-C", "directory", type=_directory, default=Path(), metavar="DIR",
                                 help="The working copy of the mesh repository. [default: the current directory]",
                                 )  # fmt: skip
private_key_option = click.option("--private-key-file", type=file, metavar="F",
                                  help="The peer's private key; without it a placeholder is printed.")  # fmt: skip
secret_option = click.option("--secret-file", type=file, metavar="F", help="The mesh secret, for preshared keys.")


def or_stdout(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    """For the option that names a file instead of stdout: `-` is stdout."""
    return None if value == Path("-") else value


def date_or_moment(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    """A date, or a moment (a datetime), as TOML writes them."""
    if value is None:
        return None
    try:
        return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date such as 2030-12-31 or 2030-12-31T18:00:00Z") from None


def _echo(_: click.Context, __: click.Parameter, verbose: bool) -> Callable[[str], None]:
    """What shows each command that changes something, as a shell does with -x; nothing unless ``verbose``."""
    return (lambda text: click.secho(f"+ {text}", dim=True, err=True)) if verbose else (lambda text: None)


verbose_option = click.option("-v", "--verbose", "note", is_flag=True, callback=_echo,
                              help="Show the commands that change something.")  # fmt: skip
