"""`mesh-sync peer`: the peers of a mesh repository."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from mesh_sync.cli.present_edit import PLAN, tell
from mesh_sync.mesh.layout import peer_path
from mesh_sync.terminal.options import commit_option, json_option, print_json, repository_option
from mesh_sync.terminal.table import table

F = TypeVar("F", bound=Callable[..., Any])

name_argument = click.argument("name", metavar="N")


def _date(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    """A date, or a moment, as TOML writes them."""
    if value is None:
        return None
    try:
        return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date such as 2030-12-31 or 2030-12-31T18:00:00Z") from None


def key_options(function: F) -> F:
    """The options that are named like the keys of a peer's file."""
    for option in reversed(
        (
            click.option("--public-key", metavar="KEY", help="Its WireGuard public key: what `wg pubkey` prints."),
            click.option("--next-public-key", metavar="KEY", help="The key it is moving to (key rotation)."),
            click.option("--address", "addresses", multiple=True, metavar="IP",
                         help="Its address in the mesh; may be repeated."),
            click.option("--endpoint", multiple=True, metavar="HOST:PORT",
                         help="Where others reach it; may be repeated. Leave out behind a NAT you do not control."),
            click.option("--subnet", "subnets", multiple=True, metavar="CIDR",
                         help="A network behind it that the mesh can reach; may be repeated."),
            click.option("--via", metavar="PEER", help="Others reach it through that peer."),
            click.option("--listen-port", type=int, metavar="PORT", help="The UDP port its WireGuard listens on."),
            click.option("--mtu", type=int, metavar="BYTES", help="The MTU of its interface."),
            click.option("--persistent-keepalive", "--keepalive", type=int, metavar="SECONDS",
                         help="How often it sends keepalives; 0 for never."),
            click.option("--enabled/--disabled", default=None, help="Whether it takes part; its file stays."),
            click.option("--managed/--unmanaged", default=None,
                         help="Whether it runs mesh-sync; a phone does not, `mesh-sync export` makes its config."),
            click.option("--tag", "tags", multiple=True, metavar="TEXT", help="A tag for people; may be repeated."),
            click.option("--description", metavar="TEXT", help="What it is, for people."),
            click.option("--owner", metavar="TEXT", help="Whose it is, for people."),
            click.option("--expires", callback=_date, metavar="DATE",
                         help="When it leaves the mesh by itself: 2030-12-31 (that day included), or a moment."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


@click.group()
def peer() -> None:
    """Add, change, remove and show the peers of a mesh repository.

    The files are edited in place, comments stay, and nothing is written that `mesh-sync check` would refuse.
    """


@peer.command()
@name_argument
@key_options
@click.option("--new-key", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Make its private key in FILE (0600), or take the one there, instead of --public-key.")  # fmt: skip
@click.option("--signing-key", default="", metavar="KEY",
              help="The SSH public key, or its file, with which the node may change its own file.")  # fmt: skip
@click.option("--secret-file", type=click.Path(path_type=Path, dir_okay=False), metavar="F",
              help="The mesh secret of a mesh with preshared keys: it is sealed to the peer at once.")  # fmt: skip
@repository_option
@commit_option
def add(
    name: str, directory: Path, commit: bool, new_key: Path | None, signing_key: str, secret_file: Path | None,
    **keys: Any,
) -> int:  # fmt: skip
    """Add a peer. Without --address it gets a free address of each of the mesh's networks.

    \b
    Example: a phone that reaches the mesh through `aws`
      mesh-sync peer add phone --new-key phone.key --unmanaged --via aws
      mesh-sync export phone --private-key-file phone.key --qr
    """
    from mesh_sync.workspace import edit_peer

    values = _given(keys)
    if ("public_key" in values) == bool(new_key):
        raise click.UsageError("say either --public-key KEY or --new-key FILE")
    code = tell(edit_peer.add(edit_peer.Place(directory, name, commit), values, new_key, signing_key), commit, PLAN)
    return code or _preshared(directory, commit, secret_file, joins=name)


@peer.command("set")
@name_argument
@key_options
@click.option("--unset", multiple=True, metavar="KEY",
              help="Take a key out of the file, as it is called there; may be repeated.")  # fmt: skip
@repository_option
@commit_option
def set_(name: str, directory: Path, commit: bool, unset: tuple[str, ...], **keys: Any) -> int:
    """Change keys of a peer's file. Repeated options give the whole list anew."""
    from mesh_sync.mesh.peer_file import KEYS
    from mesh_sync.workspace import edit_peer

    values = _given(keys)
    unset = tuple(key.replace("-", "_") for key in unset)
    if not values and not unset:
        raise click.UsageError("say what to set or --unset")
    if unknown := [key for key in unset if key not in KEYS]:
        raise click.UsageError(f"--unset: there is no key {unknown[0]!r}; the keys are {', '.join(KEYS)}")
    if both := [key for key in unset if key in values]:
        raise click.UsageError(f"{both[0]} cannot be set and unset at once")
    return tell(edit_peer.change(edit_peer.Place(directory, name, commit), values, unset), commit, PLAN)


@peer.command()
@name_argument
@click.option("--secret-file", type=click.Path(path_type=Path, dir_okay=False), metavar="F",
              help="The mesh secret of a mesh with preshared keys: the peer knows it, so it is rotated.")  # fmt: skip
@repository_option
@commit_option
def remove(name: str, directory: Path, commit: bool, secret_file: Path | None) -> int:
    """Remove a peer: its file goes, and its keys in allowed_signers. `peer set N --disabled` would keep them."""
    from mesh_sync.workspace import edit_peer

    knew_it = _is_managed(directory, name)
    code = tell(edit_peer.remove(edit_peer.Place(directory, name, commit)), commit, PLAN)
    return code or (_preshared(directory, commit, secret_file) if knew_it else 0)


@peer.command("list")
@repository_option
@json_option
def list_(directory: Path, as_json: bool) -> None:
    """List the peers: a table on a terminal, else separated by tabs."""
    from mesh_sync.cli import present
    from mesh_sync.mesh.peer_view import PeerView
    from mesh_sync.workspace.working_copy import opened

    repository = opened(directory)
    view = PeerView(repository.mesh, repository.moment)
    if as_json:
        print_json({"peers": [view.declared(peer) for _, peer in sorted(repository.mesh.peers.items())]})
    else:
        table(tuple(view.rows()))
    present.still_wrong(repository.findings)


@peer.command()
@name_argument
@repository_option
@json_option
def show(name: str, directory: Path, as_json: bool) -> None:
    """Show one peer, every default filled in, and who it talks to."""
    from mesh_sync.cli import present
    from mesh_sync.errors import ConfigError
    from mesh_sync.mesh.peer_view import PeerView
    from mesh_sync.workspace.working_copy import opened

    repository = opened(directory)
    found = repository.mesh.peers.get(name)
    if found is None:
        broken = [str(finding) for finding in repository.findings if finding.file == peer_path(name)]
        names = ", ".join(sorted(repository.mesh.peers)[:20]) or "no peers yet"
        raise ConfigError("\n".join(broken) or f"there is no peer {name!r}", hint=f"the mesh has: {names}")
    view = PeerView(repository.mesh, repository.moment)
    facts = view.declared(found) | {"effective": view.effective(found), "talks_to": view.talks_to(found)}
    if as_json:
        print_json(facts)
    else:
        present.peer(facts)


def _given(keys: dict[str, Any]) -> dict[str, Any]:
    """The options that were used, named as the file's keys are."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in keys.items()
        if value not in (None, ())
    }


def _is_managed(directory: Path, name: str) -> bool:
    """Whether a peer runs mesh-sync, as far as the list tells: then it has the mesh secret, if there is one."""
    from mesh_sync.workspace.working_copy import opened

    found = opened(directory).mesh.peers.get(name)
    return found is None or found.managed


def _preshared(directory: Path, commit: bool, secret_file: Path | None, joins: str = "") -> int:
    """Seal the mesh secret to who joins, rotate it when somebody leaves; without it, say what is left to do."""
    from mesh_sync.workspace import edit_secrets
    from mesh_sync.workspace.working_copy import opened

    if opened(directory).mesh.preshared is None or (joins and not _is_managed(directory, joins)):
        return 0
    if secret_file is None:
        todo = "seal --secret-file F" if joins else "rotate --secret-file F"
        why = "it does not have the mesh's secret yet" if joins else "it knows the mesh's secret"
        click.echo(f"next, for preshared keys: mesh-sync secret {todo}      # {why}")
        return 0
    place = edit_secrets.Place(directory, commit)
    if joins:
        done = edit_secrets.seal_missing(place, edit_secrets.at_hand(place, secret_file, None))
    else:
        done = edit_secrets.rotate(place, secret_file)
    return tell(done, commit, PLAN)
