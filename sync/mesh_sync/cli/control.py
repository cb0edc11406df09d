"""`mesh-sync up`, `down`, `rollback`, `pause` and `resume`: a person steers a node by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from mesh_sync.cli import present
from mesh_sync.cli.node import report
from mesh_sync.cli.options import verbose_option
from mesh_sync.node import config as nodes
from mesh_sync.reconcile import rollback as reconcile
from mesh_sync.reconcile.up_down import bring_up, take_down
from mesh_sync.terminal.command_line import config_option, json_option


@click.command()
@config_option
@verbose_option
def up(config: Path, note: Callable[[str], None]) -> None:
    """Bring the interface up from the last confirmed state. Needs no network."""
    node = nodes.load(config)
    done = bring_up(node, note)
    present.changes(done.changes)
    present.notes(done.notes)
    click.echo(f"{node.interface} is up")


@click.command()
@config_option
@verbose_option
def down(config: Path, note: Callable[[str], None]) -> None:
    """Take the interface down, with its forwarding and masquerading, and the names of peers.

    The timer's next run brings it up again; to keep it down, stop mesh-sync.timer first.
    """
    node = nodes.load(config)
    take_down(node, note)
    click.echo(f"{node.interface} is down")


@click.command()
@click.argument("commit", required=False, metavar="[COMMIT]")
@config_option
@json_option
@verbose_option
def rollback(commit: str | None, config: Path, as_json: bool, note: Callable[[str], None]) -> int:
    """Go back to an earlier applied state and stay there until `resume`. Needs no network.

    A peer that the list has removed since is a peer again, here, and is named.

    Without COMMIT to the one before, and each further time to the one before that; `status` lists them. Going back is
    itself rolled back unless a previously live peer, and a remote if one answers beforehand, answer within
    `[confirm] deadline`.
    """
    return report(config, as_json, lambda node: reconcile.rollback(node, commit, note=note))


@click.command()
@click.option("--reason", default="", metavar="TEXT", help="Why; `status` and `now` repeat it.")
@config_option
def pause(config: Path, reason: str) -> None:
    """Stay at the applied commit until `resume`. Drift is still repaired, and the remotes are still asked."""
    node = nodes.load(config)
    reconcile.pause(node, reason)
    click.echo(f"{node.name} is paused; `mesh-sync resume` follows the list again")


@click.command()
@config_option
def resume(config: Path) -> None:
    """Follow the list again after `pause` or `rollback`, from the next `now` on."""
    node = nodes.load(config)
    resumed = reconcile.resume(node)
    click.echo(f"{node.name} follows the list again; next: mesh-sync now" if resumed else f"{node.name} is not paused")
