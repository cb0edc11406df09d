"""`mesh-sync setup` and `leave`: the systemd units of a node come and go."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mesh_sync.errors import ConfigError
from mesh_sync.hosting.machine import hosted
from mesh_sync.node import config as nodes
from mesh_sync.node.config import DEFAULT_CONFIG, Node
from mesh_sync.system.shell_words import quote
from mesh_sync.terminal.command_line import config_option
from mesh_sync.units import leave as way_out
from mesh_sync.units.set_up import advice, raise_if_not_root, set_up

FAILED = 6


@click.command()
@click.option("--watchdog/--no-watchdog", default=True, show_default=True,
              help="Whether mesh-watchdog runs; without it, a peer that moves silently stays lost.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show the steps, and change nothing.")
@config_option
def setup(config: Path, watchdog: bool, dry_run: bool) -> int:
    """Install, enable and start the systemd units of this node.

    The unit files are written into /etc/systemd/system, and belong to mesh-sync: changes go into drop-ins. Run it again
    after every upgrade or downgrade: it replaces what has changed, and restarts the watchdog if its code has. Where all
    is as it should be, it does nothing.
    """
    raise_if_not_root("setup")
    return present_set_up(nodes.load(config), config, watchdog=watchdog, dry_run=dry_run)


def present_set_up(node: Node, config: Path, *, watchdog: bool = True, dry_run: bool = False) -> int:
    """Set up the units, tell what that took, and return the exit code."""
    done = set_up(node, click.echo, config, watchdog=watchdog, dry_run=dry_run)
    for text in done.doubtful:
        click.secho(f"  ! {text}", fg="yellow")
    for text in done.failed:
        click.secho(f"mesh-sync: {text}", fg="red", err=True)
    if done.failed:
        click.echo(f"  {advice(done.failed)}", err=True)
        return FAILED
    if not done.acted:
        click.echo(f"{node.name} is set up already")
    elif dry_run:
        click.echo("nothing was changed")
    elif done.applied:
        click.echo(f"{node.name} is set up: {node.interface} follows the list, also after a reboot")
        click.echo(done.firewall)
    else:
        click.echo(f"{node.name} is set up, and asks every minute; `mesh-sync now` says what it waits for")
        click.echo(done.firewall)
    return 0


@click.command()
@click.option("--purge", is_flag=True, help="Remove the keys, node.toml and all that was remembered, too.")
@click.option("--yes", is_flag=True, help="Do not ask before --purge.")
@config_option
def leave(config: Path, purge: bool, yes: bool) -> int:
    """Take this node out of service: stop and remove its units, take its interface down.

    With the interface go its routes, a gateway's rules and forwarding, and the names of peers. To be run before
    mesh-sync is uninstalled. The keys and node.toml stay, so that `mesh-sync setup` brings the node back, unless
    --purge. The list keeps the peer until it is removed there, by the command that is printed last.
    """
    raise_if_not_root("leave")
    if purge and not yes:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError("there is no terminal to ask whether the keys may go", hint="say it with --yes")
        click.confirm("Remove this machine's keys for good, and node.toml?", abort=True)
    node = _node(config)
    done = way_out.leave(node, click.echo)
    for text in done.failed:
        click.secho(f"mesh-sync: {text}", fg="red", err=True)
    if purge and node and not done.failed:
        way_out.purge(node, click.echo, config)
    for folder in done.kept:
        click.secho(f"  ! {folder} is not of mesh-sync's making, and stays", fg="yellow")
    if node is None:
        click.echo(f"there is no {config}, and no unit of mesh-sync; if its interface is left: ip link delete wg0")
    else:
        _present(node, config, purged=purge and not done.failed, acted=done.acted)
    return FAILED if done.failed else 0


def _node(config: Path) -> Node | None:
    """The node, None where there is none any more: its units go all the same."""
    return None if config == DEFAULT_CONFIG and not config.exists() else nodes.load(config)


def _present(node: Node, config: Path, *, purged: bool, acted: bool) -> None:
    click.echo(f"{node.name} is out of service" if acted else f"{node.name} was out of service already")
    if not purged:
        kept = f"{node.private_key_file}, {config}, {node.state_file.parent}, {node.conf_file}"
        click.echo(f"kept: {kept}; `mesh-sync setup` brings it back, `mesh-sync leave --purge` removes them")
    for place in hosted():
        click.echo(f"this machine still hosts {place}; to end that: mesh-sync host {quote(place)} --remove")
    click.echo("to take it out of the mesh, an admin runs, in a working copy of the list:")
    click.echo(f"  mesh-sync peer remove {node.name} --push")
