"""Commands that edit a working copy: their options, and what the edit did in plain sentences."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from textwrap import indent
from typing import Any

import click

from mesh_sync.cli import present, present_plan
from mesh_sync.cli.options import repository_option
from mesh_sync.findings import errors
from mesh_sync.terminal.say import count
from mesh_sync.workspace.edit import Edit, Edited
from mesh_sync.workspace.push import Upstream
from mesh_sync.workspace.typed import in_copy


def edit_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options -C, --commit, --push and --yes, of which ``command`` gets its argument ``edit``."""
    return repository_option(commit_options(command))


def commit_options(command: Callable[..., int]) -> Callable[..., int]:
    """The same without -C, for a command that has the argument ``directory``."""

    @click.option("--commit", is_flag=True, help="Commit the files that are written, and nothing else.")
    @click.option("--push", is_flag=True, help="Commit, show what nodes will do (`plan`), and push if you agree.")
    @click.option("--yes", is_flag=True, help="Push without asking.")
    @wraps(command)
    def run(directory: Path, commit: bool, push: bool, yes: bool, **options: Any) -> int:
        if not push:
            if yes:
                raise click.UsageError("--yes goes with --push")
            return command(edit=Edit(directory, commit), **options)
        if not yes:
            present_plan.raise_if_nobody_can_answer()
        upstream = Upstream.of(directory)
        code = command(edit=Edit(directory, commit=True, push=True), **options)
        if not code:
            present_plan.push(upstream, ask=not yes)
        return code

    return run


def present_edit(edit: Edit, edited: Edited, *, planned: bool = False) -> int:
    """Print what was written and committed, and what comes next; return the exit code.

    ``planned``: `plan` shows what the edit does to nodes.
    """
    if not edited.path:
        click.echo(f"{edited.message}; nothing was written")
        return 0
    present_findings(edited)
    result = f"{edited.path} {edited.became}"
    wrong = errors(edited.findings)
    if edited.commit:
        click.echo(result)
        after = "" if edit.push else f"; next: {in_copy(edit.directory, 'git push')}"
        click.echo(f"committed {edited.commit}, {edited.message.splitlines()[0]!r}{after}")
        if wrong:
            click.echo(f"not committed: {count(len(wrong), 'error')} that the working copy has from before", err=True)
    elif edit.commit:
        click.echo(f"{edited.path} is as it was committed already")
    elif wrong:
        still = f"the list still has {count(len(wrong), 'error')} from before"
        click.echo(f"{result}, but is not ready to be committed: {still}", err=True)
        return 1
    else:
        plan = f"see what that does with `{in_copy(edit.directory, 'mesh-sync plan HEAD')}`, then " if planned else ""
        click.echo(f"{result}; next: {plan}commit and push")
        if trailers := edited.message.partition("\n\n")[2]:
            lacking = "its message needs this at the end, or nodes may refuse the commit"
            click.echo(f"{lacking}:\n{indent(trailers, '  ')}")
    return 0


def present_findings(edited: Edited) -> None:
    """Print on stderr what is doubtful or wrong with the list now, and what there is to know about the commit."""
    present.findings(edited.findings, err=True)
    for note in edited.notes:
        click.secho(note, fg="yellow", err=True)
