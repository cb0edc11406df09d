"""`mesh-sync peer add`, `set`, `rename` and `remove`."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click

from mesh_sync.cli.options import date_or_moment, file
from mesh_sync.cli.present_edit import edit_options, present_edit
from mesh_sync.mesh.edit_toml import KEYS
from mesh_sync.workspace import edit_peer, edit_secrets, rename_peer
from mesh_sync.workspace.edit import Edit
from mesh_sync.workspace.typed import in_copy

F = TypeVar("F", bound=Callable[..., Any])

name_argument = click.argument("name", metavar="N")


KEY_OPTIONS = (
    click.option("--public-key", metavar="KEY", help="Its WireGuard public key: what `wg pubkey` prints."),
    click.option("--next-public-key", metavar="KEY", help="The key it is moving to (key rotation)."),
    click.option("--address", "addresses", multiple=True, metavar="IP",
                 help="Its address in the mesh; may be repeated."),
    click.option("--endpoint", multiple=True, metavar="HOST:PORT",
                 help="Where other peers reach it; may be repeated. Omit it behind a NAT you do not control."),
    click.option("--subnet", "subnets", multiple=True, metavar="CIDR",
                 help="A network behind it that the mesh can reach; may be repeated."),
    click.option("--nat-subnet", multiple=True, metavar="CIDR",
                 help="What the mesh sees instead of --subnet: a network of the same size; one for each."),
    click.option("--priority", type=int, metavar="NUMBER",
                 help="Of the live peers with the same --subnet, the one with the highest number gets its traffic."),
    click.option("--via", metavar="PEER", help="The relay through which others reach it."),
    click.option("--relay/--no-relay", default=None,
                 help="Whether it forwards packets between peers that cannot meet directly, and so sees them."),
    click.option("--exit", metavar="PEER", help="Its exit to the internet; `none` declines the mesh's."),
    click.option("--machine", metavar="NAME",
                 help="Of the machines that hold its key, the one it runs on now; the others stand by."),
    click.option("--listen-port", type=int, metavar="PORT", help="The UDP port its WireGuard listens on."),
    click.option("--mtu", type=int, metavar="BYTES", help="The MTU of its interface."),
    click.option("--persistent-keepalive", "--keepalive", type=int, metavar="SECONDS",
                 help="How often it sends keepalives; 0 for never."),
    click.option("--enabled/--disabled", default=None, help="Whether it is part of the mesh; its file stays."),
    click.option("--managed/--unmanaged", default=None,
                 help="Whether it runs mesh-sync; a phone does not: `mesh-sync export` prints its config."),
    click.option("--dns", multiple=True, metavar="IP|DOMAIN",
                 help="A nameserver, or a search domain, for the config of an unmanaged peer; may be repeated."),
    click.option("--export-route", "export_routes", multiple=True, metavar="CIDR",
                 help="What an unmanaged peer sends into its tunnel, instead of all the mesh reaches; "
                      "may be repeated."),
    click.option("--original-name", metavar="NAME",
                 help="For a renamed peer: the name that determines its preshared keys and relays."),
    click.option("--tag", "tags", multiple=True, metavar="TEXT", help="A tag, for people; may be repeated."),
    click.option("--description", metavar="TEXT", help="What it is, for people."),
    click.option("--owner", metavar="TEXT", help="Whose it is, for people."),
    click.option("--expires", callback=date_or_moment, metavar="DATE",
                 help="When it leaves the mesh: at the end of 2030-12-31, or at a moment."),
)  # fmt: skip


def key_options(function: F) -> F:
    """The options that are named like the keys of a peer's file."""
    return reduce(lambda decorated, option: option(decorated), reversed(KEY_OPTIONS), function)


@click.command()
@name_argument
@key_options
@click.option("--new-key", type=file, metavar="FILE",
              help="Generate its private key in FILE (0600), or use the one there, instead of --public-key.",
              )  # fmt: skip
@click.option("--signing-key", default="", metavar="KEY",
              help="An SSH public key, or its file; commits signed with it may change the peer's own file.",
              )  # fmt: skip
@click.option("--secret-file", type=file, metavar="F",
              help="The mesh secret, for preshared keys: it is sealed to the peer.")  # fmt: skip
@edit_options
def add(edit: Edit, name: str, new_key: Path | None, signing_key: str, secret_file: Path | None, **keys: Any) -> int:
    """Add a peer. Without --address it gets a free address of each of the mesh's networks.

    \b
    Example: a phone that reaches the mesh through `aws`
      mesh-sync peer add phone --new-key ~/phone.key --unmanaged --via aws
      mesh-sync export phone --private-key-file ~/phone.key --qr
    """
    values = _given(keys)
    if ("public_key" in values) == bool(new_key):
        raise click.UsageError("give either --public-key KEY or --new-key FILE")
    if secret_file and edit_secrets.shares_secret(edit, name):
        edit_secrets.raise_unless_it_seals(edit, secret_file)
    code = present_edit(edit, edit_peer.add(edit, name, values, new_key, signing_key), planned=True)
    if new_key:
        click.echo(f"its private key is in {new_key}")
    if code or not edit_secrets.shares_secret(edit, name):
        return code
    if secret_file is None:
        seal = in_copy(edit.directory, "mesh-sync secret seal --secret-file F")
        click.echo(f"next, for preshared keys: {seal}    # it lacks the mesh secret")
        return 0
    return present_edit(edit, edit_secrets.seal_missing(edit, secret_file), planned=True)


@click.command("set")
@name_argument
@key_options
@click.option("--unset", multiple=True, metavar="KEY",
              help="Remove a key from the file, by its name there; may be repeated.")  # fmt: skip
@edit_options
def set_(edit: Edit, name: str, unset: tuple[str, ...], **keys: Any) -> int:
    """Change keys of a peer's file. A repeated option replaces the whole list."""
    values = _given(keys)
    unset = tuple(key.replace("-", "_") for key in unset)
    if not values and not unset:
        raise click.UsageError("give a key to set, or --unset")
    if unknown := [key for key in unset if key not in KEYS]:
        raise click.UsageError(f"--unset: there is no key {unknown[0]!r}; the keys are {', '.join(KEYS)}")
    if both := [key for key in unset if key in values]:
        raise click.UsageError(f"{both[0]} cannot be set and unset at once")
    return present_edit(edit, edit_peer.change(edit, name, values, unset), planned=True)


@click.command()
@name_argument
@click.option("--secret-file", type=file, metavar="F",
              help="The mesh secret, for preshared keys: the peer knows it, so it is rotated.")  # fmt: skip
@edit_options
def remove(edit: Edit, name: str, secret_file: Path | None) -> int:
    """Remove a peer: its file, and its keys in allowed_signers. `peer set N --disabled` keeps both."""
    knows_secret = edit_secrets.shares_secret(edit, name)
    if knows_secret and secret_file:
        edit_secrets.raise_unless_it_rotates(edit, secret_file)
    code = present_edit(edit, edit_peer.remove(edit, name), planned=True)
    if code or not knows_secret:
        return code
    if secret_file is None:
        rotate = in_copy(edit.directory, "mesh-sync secret rotate --secret-file F")
        click.echo(f"next, for preshared keys: {rotate}    # it knows the mesh secret")
        return 0
    return present_edit(edit, edit_secrets.rotate(edit, secret_file), planned=True)


@click.command()
@click.argument("old")
@click.argument("new")
@edit_options
def rename(edit: Edit, old: str, new: str) -> int:
    """Rename a peer: its file, and every mention of it in the list. No tunnel changes, and no node has to be touched.

    A node goes on by its key; write the new name in its node.toml when you are there.
    """
    code = present_edit(edit, rename_peer.rename(edit, old, new), planned=True)
    if not code and rename_peer.keeps_original_name(edit, new):
        click.echo(f"{new} keeps original_name, by which its pairs go: versions that do not know it refuse the list")
    return code


def _given(keys: dict[str, Any]) -> dict[str, Any]:
    """The options that were used, named as the file's keys are."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in keys.items()
        if value not in (None, ())
    }
