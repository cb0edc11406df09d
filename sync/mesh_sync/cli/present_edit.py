"""What a person is told after an edit to a working copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mesh_sync.terminal.table import count

if TYPE_CHECKING:
    from mesh_sync.workspace.commits import Done

PLAN = "`mesh-sync plan HEAD` to see what that does, then commit and push"


def tell(done: Done, commit: bool, following: str) -> int:
    """Say what was written and committed, and what comes next; return the exit code."""

    if done.written is None:
        click.echo(f"{done.message}; nothing was written")
        return 0
    for finding in (*done.written.warnings, *done.written.errors):
        click.secho(str(finding), fg="yellow", err=True)
    path = done.written.paths[0]
    if done.written.errors:
        wrong = count(len(done.written.errors), "error")
        rest = "was not committed" if commit else "is not ready to be committed"
        click.echo(f"{path} {done.became}, but {rest}: the list still has {wrong} from before", err=True)
        return 1
    if done.doubt:
        click.secho(done.doubt, fg="yellow", err=True)
    if done.commit:
        click.echo(f"{path} {done.became}")
        click.echo(f"committed {done.commit}, {done.message.splitlines()[0]!r}; next: git push")
    elif commit:
        click.echo(f"{path} is as it was committed already")
    else:
        click.echo(f"{path} {done.became}; next: {following}")
    return 0
