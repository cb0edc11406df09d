"""`mesh-sync host`: this machine hosts a mesh repository."""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path

import click

from mesh_sync.errors import ConfigError
from mesh_sync.hosting import machine, make
from mesh_sync.hosting.settings import Hosting
from mesh_sync.system.shell_words import quote
from mesh_sync.trust.ssh_keys import named
from mesh_sync.workspace.init import template

_NAME = re.compile(r"\w[\w.-]*(:\d{1,5})?", re.ASCII)
absolute = click.Path(path_type=Path, file_okay=False, resolve_path=True)


@click.command()
@click.argument("place", type=absolute, metavar="PATH")
@click.option("--key", "keys", multiple=True, metavar="KEY",
              help="An SSH public key, or its file, that may read and push before and whatever the list says; may be "
                   "repeated. [default: ~/.ssh/id_*.pub, made if there is none]")  # fmt: skip
@click.option("--name", metavar="HOST[:PORT]", help="What others call this machine. [default: its own full name]")
@click.option("--branch", default="main", show_default=True, help="The branch that holds the list.")
@click.option("--user", default=machine.USER, show_default=True, metavar="USER",
              help="The system user that owns the repository, made if there is none; for root.")  # fmt: skip
@click.option("--authorized-keys", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="sshd's file for the user that runs this, who is not root. [default: ~/.ssh/authorized_keys]",
              )  # fmt: skip
@click.option("--remove", is_flag=True, help="Close the repository to ssh. It stays where it is.")
def host(
    place: Path,
    keys: tuple[str, ...],
    name: str | None,
    branch: str,
    user: str,
    authorized_keys: Path | None,
    remove: bool,
) -> None:
    """Make a bare repository for a mesh, reached over ssh, with a hook that refuses what nodes would refuse.

    Run by root, it belongs to a system user of its own; otherwise to you. That user's authorized_keys follow the list:
    the keys of admins and nodes in allowed_signers open this repository and nothing else, and a key that leaves the
    list no longer does. `mesh-sync invite` asks it to take the keys of an invited machine. It needs no port but sshd's,
    and leaves no program running. Safe to repeat.
    """
    make.raise_unless_plain(place)
    root = os.geteuid() == 0
    if remove:
        _remove(place, user, root=root)
        return
    if name and not _NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r} is not HOST or HOST:PORT", param_hint="--name")
    given = [" ".join(named(key).split()[:2]) for key in keys]
    if not root:
        file = authorized_keys or Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".ssh/authorized_keys"
        hook = (template() / "hooks/pre-receive").read_text(encoding="utf-8")
        hosting = Hosting(program=machine.program(), authorized_keys=file.absolute(), branch=branch)
        make.make(place, given, hook, hosting, click.echo)
        click.echo(f"{place} is hosted by {pwd.getpwuid(os.geteuid()).pw_name}")
        return
    machine.raise_unless_open(place)
    machine.raise_without_sshd()
    if not given:
        given = [" ".join(named(str(machine.operators_key(click.echo))).split()[:2])]
    machine.make_user(user, place, click.echo)
    options = [word for key in given for word in ("--key", key)]
    machine.as_user(user, ["host", str(place), "--branch", branch, *options], click.echo)
    host_name, port = machine.own_name()
    if name:
        host_name, _, port = name.partition(":")
        port = port or "22"
    machine.make_known(host_name, port, click.echo)
    url = f"ssh://{user}@{host_name}{'' if port == '22' else ':' + port}{place}"
    click.echo("next, on this machine or another one with that key:")
    click.echo(f"  mesh-sync init mesh --signer YOU@DOMAIN --remote {quote(url)} --push")
    click.echo(f"to take it away again: mesh-sync host {quote(str(place))} --remove")


def _remove(place: Path, user: str, *, root: bool) -> None:
    if root:
        if not place.is_dir():
            raise ConfigError(f"there is no {place}")
        machine.as_user(user, ["host", str(place), "--remove"], click.echo)
        machine.remove_user(user, click.echo)
    else:
        make.take_away(place, click.echo)
        click.echo(f"{place} is no longer hosted; the repository itself stays")
