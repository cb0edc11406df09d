"""Commands that edit a working copy: their options, and what the edit did in plain sentences."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from mesh_sync.cli import present
from mesh_sync.cli.options import repository_option
from mesh_sync.findings import errors
from mesh_sync.terminal.command_line import count
from mesh_sync.workspace.edit import Edit, Edited


def edit_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options -C and --commit, which ``command`` gets as its argument ``edit``."""

    @repository_option
    @click.option("--commit", is_flag=True, help="Commit the files that are written, and nothing else.")
    @wraps(command)
    def run(directory: Path, commit: bool, **options: Any) -> int:
        return command(edit=Edit(directory, commit), **options)

    return run


def present_edit(edit: Edit, edited: Edited, following: str = "commit and push") -> int:
    """Print what was written and committed, and what comes next; return the exit code."""
    if not edited.path:
        click.echo(f"{edited.message}; nothing was written")
        return 0
    present_findings(edited)
    result = f"{edited.path} {edited.became}"
    if wrong := errors(edited.findings):
        rest = "was not committed" if edit.commit else "is not ready to be committed"
        click.echo(f"{result}, but {rest}: the list still has {count(len(wrong), 'error')} from before", err=True)
        return 1
    if edited.commit:
        click.echo(result)
        click.echo(f"committed {edited.commit}, {edited.message.splitlines()[0]!r}; next: git push")
    elif edit.commit:
        click.echo(f"{edited.path} is as it was committed already")
    else:
        click.echo(f"{result}; next: {following}")
    return 0


def present_findings(edited: Edited) -> None:
    """Print on stderr what is doubtful or wrong with the list now, and why nodes would reject the commit."""
    present.findings(edited.findings, err=True)
    if edited.rejection:
        click.secho(edited.rejection, fg="yellow", err=True)
