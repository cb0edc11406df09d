"""`mesh-sync rotate-key`: a node's new WireGuard key."""

from __future__ import annotations

from pathlib import Path

import click

from mesh_sync.membership.rotate_key import rotate_key as rotate
from mesh_sync.node import config as nodes
from mesh_sync.terminal.options import config_option


@click.command("rotate-key")
@click.option("--wait", type=click.FloatRange(min=0), default=180.0, show_default=True, metavar="SECONDS",
              help="How long the other nodes may take to prepare.")  # fmt: skip
@click.option("--force", is_flag=True, help="Then switch anyway, without the nodes that are not prepared.")
@config_option
def rotate_key(config: Path, wait: float, force: bool) -> None:
    """Give this node a new WireGuard key without losing a tunnel.

    Announces the new key in the list, waits until every other node has prepared for it, switches, and makes it the
    node's key in the list. If no peer answers under the new key, the node switches back. Safe to interrupt: run it
    again and it continues.
    """
    node = nodes.load(config)
    key = rotate(node, wait=wait, force=force, note=click.echo)
    click.echo(f"{node.name} has a new key: {key}")
