"""`mesh-sync up` and `down`: the interface by hand."""

from __future__ import annotations

from pathlib import Path

import click

from mesh_sync.cli import present
from mesh_sync.cli.options import command_echo, verbose_option
from mesh_sync.node import config as nodes
from mesh_sync.reconcile.up_down import bring_up, take_down
from mesh_sync.terminal.options import config_option


@click.command()
@config_option
@verbose_option
def up(config: Path, verbose: bool) -> None:
    """Bring the interface up from the last confirmed state. Needs no network."""
    node = nodes.load(config)
    done = bring_up(node, command_echo(verbose))
    present.changes(done.changes)
    present.notes(done.notes)
    click.echo(f"{node.interface} is up")


@click.command()
@config_option
@verbose_option
def down(config: Path, verbose: bool) -> None:
    """Take the interface down, with its forwarding and masquerading.

    The timer's next run brings it up again; to keep it down, stop mesh-sync.timer first.
    """
    node = nodes.load(config)
    take_down(node, command_echo(verbose))
    click.echo(f"{node.interface} is down")
