"""What a change to the list does to every node, in plain sentences, and the question whether to push it."""

from __future__ import annotations

import sys

import click

from mesh_sync.cli import present
from mesh_sync.cli.present_outcome import present_outcome
from mesh_sync.errors import MeshSyncError
from mesh_sync.node.config import Node
from mesh_sync.reconcile.run import run_now
from mesh_sync.terminal.exit import complain
from mesh_sync.terminal.say import count
from mesh_sync.workspace.here import node_here
from mesh_sync.workspace.preview import Preview
from mesh_sync.workspace.push import Upstream
from mesh_sync.workspace.typed import in_copy


def present_plan(preview: Preview) -> None:
    """Print the changes of each node, and who becomes or is no longer an admin."""
    present.findings(preview.admins, err=False)
    for name, changes in preview.nodes.items():
        click.secho(name, bold=True)
        present.changes(changes)
    for text in preview.gateways:
        click.echo(text)
    if preview.relayed:
        click.echo(preview.relayed)
    click.echo(f"{count(len(preview.nodes), 'node')} would change" if preview.nodes else "no node would change")


def raise_if_nobody_can_answer() -> None:
    """Raise UsageError where there is no terminal to ask at."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("--push asks before it pushes, and there is no terminal to ask at: add --yes")


def push(upstream: Upstream, *, ask: bool) -> None:
    """Show what nodes will do about all that is not pushed yet, ask unless told not to, and push it.

    A node of that mesh, if this machine is one, then takes it at once, and tells others.
    """
    outgoing = upstream.outgoing()
    if outgoing is None:
        click.echo(f"nothing to push: {upstream} is up to date")
        return
    present_plan(outgoing.preview)
    what = f"{count(outgoing.number, 'commit')} to {upstream}"
    if ask and not click.confirm(f"push {what}?"):
        click.echo(f"not pushed; next: {in_copy(upstream.git.directory, 'git push')}")
        return
    outgoing.push()
    click.echo(f"pushed {what}")
    if node := node_here(outgoing.upstream.git, outgoing.commit):
        _take(node)


def _take(node: Node) -> None:
    """Have this machine apply what was pushed; that this fails makes the push no failure."""
    click.echo(f"this machine is its node {node.name}: mesh-sync now")
    try:
        present_outcome(run_now(node), dry_run=False)
    except MeshSyncError as problem:
        complain(problem)
