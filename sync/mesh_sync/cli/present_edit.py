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
    wrong = errors(edited.findings)
    if edited.commit:
        click.echo(result)
        click.echo(f"committed {edited.commit}, {edited.message.splitlines()[0]!r}; next: git push")
        if wrong:
            click.echo(f"not committed: {count(len(wrong), 'error')} that the working copy has from before", err=True)
    elif edit.commit:
        click.echo(f"{edited.path} is as it was committed already")
    elif wrong:
        still = f"the list still has {count(len(wrong), 'error')} from before"
        click.echo(f"{result}, but is not ready to be committed: {still}", err=True)
        return 1
    else:
        click.echo(f"{result}; next: {following}")
    return 0


def present_findings(edited: Edited) -> None:
    """Print on stderr what is doubtful or wrong with the list now, and what there is to know about the commit."""
    present.findings(edited.findings, err=True)
    for note in edited.notes:
        click.secho(note, fg="yellow", err=True)
