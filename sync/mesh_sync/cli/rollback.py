"""`mesh-sync rollback`, `pause` and `resume`: when a node follows the list."""

from __future__ import annotations

from pathlib import Path

import click

from mesh_sync.cli.now import report
from mesh_sync.cli.options import command_echo, verbose_option
from mesh_sync.node import config as nodes
from mesh_sync.reconcile import rollback as reconcile
from mesh_sync.terminal.options import config_option, json_option


@click.command()
@click.argument("commit", required=False, metavar="[COMMIT]")
@config_option
@json_option
@verbose_option
def rollback(commit: str | None, config: Path, as_json: bool, verbose: bool) -> int:
    """Go back to an earlier applied state and stay there until `resume`. Needs no network.

    Without COMMIT to the one before; `status` lists the last ten. Going back is itself rolled back unless a previously
    live peer, and a remote if one answers beforehand, answer within `[confirm] deadline`.
    """
    return report(config, as_json, lambda: reconcile.rollback(nodes.load(config), commit, note=command_echo(verbose)))


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
