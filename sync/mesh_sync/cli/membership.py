"""`mesh-sync join` and `rotate-key`: this machine becomes a node, and gets a new WireGuard key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mesh_sync.cli.node import present_now
from mesh_sync.cli.options import existing_file
from mesh_sync.cli.units import present_set_up
from mesh_sync.invitation.line import is_line
from mesh_sync.invitation.line import read as read_line
from mesh_sync.membership import invited
from mesh_sync.membership.enlist import JoinRequest
from mesh_sync.membership.join import join as run_join
from mesh_sync.membership.rotate_key import rotate_key as rotate
from mesh_sync.node import config as nodes
from mesh_sync.node.config import Node
from mesh_sync.terminal.command_line import config_option
from mesh_sync.terminal.say import duration
from mesh_sync.units.machine import Place
from mesh_sync.units.set_up import WITHOUT_SYSTEMD, raise_if_not_root

CLEAR = "\033[K"
"""What clears the rest of a terminal's line (ECMA-48, EL)."""


@click.command()
@click.argument("url", metavar="URL|LINE")
@click.option("--name", metavar="N", help="This machine's name in the mesh (a lower-case DNS label).")
@click.option("--endpoint", "endpoints", multiple=True, metavar="HOST:PORT",
              help="Where other peers reach it; may be repeated. Omit it behind a NAT you do not control.")  # fmt: skip
@click.option("--subnet", "subnets", multiple=True, metavar="CIDR", help="A network behind it; may be repeated.")
@click.option("--address", "addresses", multiple=True, metavar="IP",
              help="Its mesh address; may be repeated. [default: a free one]")  # fmt: skip
@click.option("--interface", default="wg0", show_default=True, metavar="IF", help="The WireGuard interface to manage.")
@click.option("--masquerade", default="", metavar="IF", help="Route for the subnets, and masquerade on this interface.")
@click.option("--branch", default="main", show_default=True, help="The branch that holds the list.")
@click.option("--review", is_flag=True, help="Push to the branch join/N for review instead.")
@click.option("--trust", type=click.Choice(["signed", "none"]),
              help="signed: accept only commits signed by the mesh's signers. none: accept whatever is pushed.",
              )  # fmt: skip
@click.option("--fingerprint", metavar="X",
              help="The mesh's fingerprint, as an admin's `mesh-sync signer list` prints it.")  # fmt: skip
@click.option("--signers", type=existing_file, metavar="F",
              help="An allowed_signers file received out of band: its admins must vouch for the list.")  # fmt: skip
@click.option("--identity-file", type=existing_file, metavar="F", help="The ssh key for the git host.")
@click.option("--known-hosts-file", type=existing_file, metavar="F", help="The ssh host keys to accept.")
@click.option("--wait", type=click.FloatRange(min=0), metavar="SECONDS",
              help="With LINE: how long to wait for an admin. [default: until Ctrl-C]")  # fmt: skip
@click.option("--setup/--no-setup", "sets_up", default=True, show_default=True,
              help="With LINE: whether to apply the list and set up the units, as `setup` does.")  # fmt: skip
@config_option
@click.pass_context
def join(context: click.Context, /, config: Path, wait: float | None, sets_up: bool, **options: Any) -> int:
    """Make this machine a node of a mesh: its keys, a free address, node.toml, and its file in the list.

    With LINE, which `mesh-sync invite` prints, it does everything: makes keys and hands them over, waits for an admin,
    applies the list, and sets up the units. The line says which mesh it is, so there are no questions.

    With URL and --trust signed it shows what to compare with an admin's word: the git host's key, the signers, the
    first and newest commit of the history, and one fingerprint of it all. What you accept is kept beside node.toml.
    """
    if is_line(options["url"]):
        given = [name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if other := [name for name in given if name not in ("url", "interface")]:
            raise click.UsageError(f"the invitation says it all: leave out --{other[0].replace('_', '-').rstrip('s')}")
        return _invited(options["url"], config, options["interface"], wait, sets_up=sets_up)
    if not (options["name"] and options["trust"]):
        raise click.UsageError("with URL, --name and --trust are needed")
    if options["trust"] == "none" and (options["fingerprint"] or options["signers"]):
        raise click.UsageError("--fingerprint and --signers go with --trust signed")
    confirm = click.confirm if sys.stdin.isatty() and sys.stdout.isatty() else None
    addresses = run_join(JoinRequest(config=config, **options), note=click.echo, confirm=confirm)
    later = ", once the branch is merged" if options["review"] else ""
    click.echo(f"this machine is {options['name']}, {', '.join(addresses)}; next: mesh-sync now{later}")
    return 0


def _invited(line: str, config: Path, interface: str, wait: float | None, *, sets_up: bool) -> int:
    invitation = read_line(line)
    request = invited.request_of(invitation, config, interface)
    if sets_up:
        raise_if_not_root("join LINE")
    addresses = invited.join(invitation, request, _note, invited.Waiting(wait, _progress))
    _note(f"this machine is {request.name}, {', '.join(addresses)}")
    return begin(nodes.load(config), config) if sets_up else 0


def begin(node: Node, config: Path) -> int:
    """Apply the list on a node that has just joined, and set up its units; return the exit code."""
    if Place().has_systemd:
        code = present_set_up(node, config)
        return code or present_now(node)
    code = present_now(node)
    click.echo(WITHOUT_SYSTEMD)
    return code


def _progress(seconds: float) -> None:
    """Show on a terminal that waiting goes on."""
    if sys.stdout.isatty():
        click.echo(f"\r{CLEAR}waiting, {duration(seconds)}", nl=False)


def _note(text: str) -> None:
    click.echo(f"\r{CLEAR}{text}" if sys.stdout.isatty() else text)


@click.command("rotate-key")
@click.option("--wait", type=click.FloatRange(min=0), default=180.0, show_default=True, metavar="SECONDS",
              help="How long canaries, and then the other nodes, may take.")  # fmt: skip
@click.option("--force", is_flag=True, help="Switch after that even if some nodes are not prepared.")
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
