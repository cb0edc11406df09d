"""`mesh-sync invite` and `admit`: a line for a new machine, and the commit that lets it in."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from mesh_sync.cli import present_plan
from mesh_sync.cli.options import repository_option
from mesh_sync.cli.present_edit import present_edit
from mesh_sync.errors import ConfigError, Refused
from mesh_sync.invitation.answer import LONGEST
from mesh_sync.invitation.token import Keys
from mesh_sync.system.shell_words import quote
from mesh_sync.terminal.say import duration
from mesh_sync.trust.signers import same
from mesh_sync.workspace import edit_secrets
from mesh_sync.workspace import invite as invitations
from mesh_sync.workspace.edit import Edit
from mesh_sync.workspace.invite import Invited
from mesh_sync.workspace.push import Upstream
from mesh_sync.workspace.typed import in_copy

POLL = 2.0
"""Seconds between two questions whether the machine has handed over its keys."""


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--endpoint", multiple=True, metavar="HOST:PORT",
              help="Where other peers reach it; may be repeated. Omit it behind a NAT you do not control.")  # fmt: skip
@click.option("--subnet", "subnets", multiple=True, metavar="CIDR",
              help="A network behind it that the mesh can reach; may be repeated.")  # fmt: skip
@click.option("--address", "addresses", multiple=True, metavar="IP",
              help="Its mesh address; may be repeated. [default: a free one]")  # fmt: skip
@click.option("--masquerade", default="", metavar="IF",
              help="It routes for its subnets, and masquerades on this interface.")  # fmt: skip
@click.option("--minutes", type=click.IntRange(1, LONGEST // 60), default=60, show_default=True, metavar="N",
              help="For how long the line is good.")  # fmt: skip
@click.option("--wait/--no-wait", default=None,
              help="Wait for the machine, and ask whether to let it in. [default: at a terminal]")  # fmt: skip
@repository_option
def invite(
    directory: Path,
    name: str,
    endpoint: tuple[str, ...],
    subnets: tuple[str, ...],
    addresses: tuple[str, ...],
    masquerade: str,
    minutes: int,
    wait: bool | None,
) -> int:
    """Print one line that lets a machine join as the peer NAME: run `mesh-sync join LINE` there.

    The line holds the git host's address and host key, the mesh's fingerprint, and a token with which one machine can
    hand over its keys, for an hour. The token admits no machine: you do, by comparing a fingerprint and signing the
    commit. A git host that `mesh-sync host` did not set up takes no tokens; `join` then shows what to do.
    """
    asks = sys.stdin.isatty() and sys.stdout.isatty()
    wait = asks if wait is None else wait
    if wait and not asks:
        raise click.UsageError("--wait asks before it lets the machine in, and there is no terminal to ask at")
    keys = {"endpoint": endpoint, "subnets": subnets, "addresses": addresses}
    values = {key: list(value) for key, value in keys.items() if value}
    line, invited = invitations.invite(directory, name, values, minutes * 60, masquerade)
    click.echo(
        f"on {name}, as root, within {duration(minutes * 60)}:" if invited.until else f"on {name}, as root:", err=True
    )
    click.echo(f"mesh-sync join {line}" if asks else line)
    later = in_copy(directory, f"mesh-sync admit {quote(name)}")
    if not invited.token_key:
        click.echo("this git host takes no requests: `join` shows what to add there, and to the list", err=True)
        return 0
    if not wait:
        click.echo(f"next, once it waits there: {later}", err=True)
        return 0
    click.echo(f"waiting for it to hand over its keys; Ctrl-C stops waiting, and `{later}` goes on", err=True)
    while (handed := invitations.handed_over(invited)) is None:
        time.sleep(POLL)
    return _let_in(directory, invited, handed, None)


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--fingerprint", metavar="X", help="The fingerprint that `join` shows there, instead of a question.")
@repository_option
def admit(directory: Path, name: str, fingerprint: str | None) -> int:
    """Admit a machine that has used its invitation: add the peer with its keys, in a signed commit, and push it.

    Shows the fingerprint of its keys, to compare with the one that `join` shows on that machine.
    """
    invited = invitations.remembered(directory, name)
    if fingerprint is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError(
            "there is no terminal to compare the fingerprint at", hint="--fingerprint X: `join` shows it there"
        )
    keys = invitations.handed_over(invited)
    if keys is None:
        raise Refused(f"{name} has not handed over its keys yet", hint="mesh-sync join LINE, there")
    return _let_in(directory, invited, keys, fingerprint)


def _let_in(directory: Path, invited: Invited, keys: Keys, fingerprint: str | None) -> int:
    name, again = invited.name, in_copy(directory, f"mesh-sync invite {quote(invited.name)}")
    click.echo(f"{name} has handed over its keys, fingerprint {keys.fingerprint}")
    if fingerprint is not None:
        if not same(keys.fingerprint, fingerprint):
            hint = f"another machine has used the line; a new one: {again}"
            raise Refused("the fingerprint is not the one that was given; nothing was written", hint=hint)
    elif not click.confirm(f"Is this what `join` shows on {name}?"):
        invitations.withdraw(directory, invited)
        raise Refused("not admitted; the line no longer works", hint=f"a new one: {again}")
    upstream = Upstream.of(directory)
    edit = Edit(directory, commit=True, push=True)
    edited = invitations.admit(edit, invited, keys)
    invitations.forget(directory, name)
    if code := present_edit(edit, edited):
        return code
    present_plan.push(upstream, ask=False)
    if edit_secrets.shares_secret(edit, name):
        seal = in_copy(directory, "mesh-sync secret seal --secret-file F --push")
        click.echo(f"next, for preshared keys: {seal}    # it lacks the mesh secret")
    return 0
