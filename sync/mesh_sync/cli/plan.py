"""`mesh-sync plan`: what a change does, before it is pushed."""

from __future__ import annotations

from pathlib import Path

import click

from mesh_sync.cli import present
from mesh_sync.cli.options import repository_option
from mesh_sync.terminal.options import json_option, print_json
from mesh_sync.terminal.table import count
from mesh_sync.workspace.preview_change import plan_between


@click.command()
@click.argument("revisions", default="HEAD~1..HEAD", metavar="[BASE..HEAD]")
@repository_option
@json_option
def plan(revisions: str, directory: Path, as_json: bool) -> None:
    """Show what a change to the list does to every node. BASE alone: up to the working copy."""
    nodes = plan_between(directory, revisions)
    if as_json:
        print_json({"nodes": {name: [change.as_json() for change in changes] for name, changes in nodes.items()}})
        return
    for name, changes in nodes.items():
        click.secho(name, bold=True)
        present.changes(changes)
    click.echo(f"{count(len(nodes), 'node')} would change" if nodes else "no node would change")
