"""`mesh-sync join` and `rotate-key`: this machine becomes a node, and gets a new WireGuard key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mesh_sync.cli.options import existing_file
from mesh_sync.membership.enlist import JoinRequest
from mesh_sync.membership.join import join as run_join
from mesh_sync.membership.rotate_key import rotate_key as rotate
from mesh_sync.node import config as nodes
from mesh_sync.terminal.command_line import config_option


@click.command()
@click.argument("url", metavar="URL")
@click.option("--name", required=True, metavar="N", help="This machine's name in the mesh (a lower-case DNS label).")
@click.option("--endpoint", "endpoints", multiple=True, metavar="HOST:PORT",
              help="Where other peers reach it; may be repeated. Omit it behind a NAT you do not control.")  # fmt: skip
@click.option("--subnet", "subnets", multiple=True, metavar="CIDR", help="A network behind it; may be repeated.")
@click.option("--address", "addresses", multiple=True, metavar="IP",
              help="Its mesh address; may be repeated. [default: a free one]")  # fmt: skip
@click.option("--interface", default="wg0", show_default=True, metavar="IF", help="The WireGuard interface to manage.")
@click.option("--masquerade", default="", metavar="IF", help="Route for the subnets, and masquerade on this interface.")
@click.option("--branch", default="main", show_default=True, help="The branch that holds the list.")
@click.option("--review", is_flag=True, help="Push to the branch join/N for review instead.")
@click.option("--trust", type=click.Choice(["signed", "none"]), required=True,
              help="signed: accept only commits signed by the mesh's signers. none: accept whatever is pushed.",
              )  # fmt: skip
@click.option("--fingerprint", metavar="X",
              help="The mesh's fingerprint, as an admin's `mesh-sync signer list` prints it.")  # fmt: skip
@click.option("--signers", type=existing_file, metavar="F",
              help="An allowed_signers file received out of band: its admins must vouch for the list.")  # fmt: skip
@click.option("--identity-file", type=existing_file, metavar="F", help="The ssh key for the git host.")
@click.option("--known-hosts-file", type=existing_file, metavar="F", help="The ssh host keys to accept.")
@config_option
def join(config: Path, **options: Any) -> None:
    """Make this machine a node of a mesh: its keys, a free address, node.toml, and its file in the list.

    With --trust signed it shows what to compare with what an admin says: the git host's key, the signers, the first
    and newest commit of the history, and one fingerprint of it all. What is accepted is kept beside node.toml.
    """
    if options["trust"] == "none" and (options["fingerprint"] or options["signers"]):
        raise click.UsageError("--fingerprint and --signers go with --trust signed")
    confirm = click.confirm if sys.stdin.isatty() and sys.stdout.isatty() else None
    addresses = run_join(JoinRequest(config=config, **options), note=click.echo, confirm=confirm)
    later = ", once the branch is merged" if options["review"] else ""
    click.echo(f"this machine is {options['name']}, {', '.join(addresses)}; next: mesh-sync now{later}")


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
