"""`mesh-sync signer`: who may sign the commits of a mesh."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from mesh_sync.cli.present_edit import tell
from mesh_sync.terminal.options import commit_option, json_option, print_json, repository_option

NEXT = "commit and push"


@click.group()
def signer() -> None:
    """List, add and remove the SSH keys that may sign the commits of a mesh: the file allowed_signers.

    NAME@node.MESH is the key of a node, good for its own file; every other name is an admin's, good for everything.
    Comments in the file stay, and nothing is written that `mesh-sync check` would refuse.
    """


@signer.command("list")
@repository_option
@json_option
def list_(directory: Path, as_json: bool) -> None:
    """List the keys, and the fingerprint of the mesh: what `mesh-sync join` shows on a node, to be compared."""
    from mesh_sync.cli import present
    from mesh_sync.workspace.edit_signers import roll

    found, repository = roll(directory)
    if as_json:
        print_json(found.as_json())
    else:
        present.signers(found.signers)
        click.echo(f"fingerprint of the mesh {found.mesh}: {found.fingerprint or 'none before the first commit'}")
    present.still_wrong(repository.findings)


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date such as 2030-12-31 or 2030-12-31T18:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@signer.command()
@click.argument("principal", metavar="WHO")
@click.argument("key", metavar="KEY")
@click.option("--valid-before", callback=_moment, metavar="DATE",
              help="From when on it counts no more: 2030-12-31 (from 0:00 UTC on), or a moment.")  # fmt: skip
@repository_option
@commit_option
def add(principal: str, key: str, directory: Path, valid_before: datetime | None, commit: bool) -> int:
    """Let a key sign. KEY is a public key, 'ssh-ed25519 AAAA…', or its file; the first one begins allowed_signers.

    \b
    Example: an admin; and the key that `mesh-sync join` has made on the node aws of the mesh `home`
      mesh-sync signer add alice@example.org ~/.ssh/id_ed25519.pub --commit
      mesh-sync signer add aws@node.home 'ssh-ed25519 AAAA…' --commit
    """
    from mesh_sync.workspace import edit_signers

    done = edit_signers.add(directory, principal, key, valid_before=valid_before, commit=commit)
    return tell(done, commit, NEXT)


@signer.command()
@click.argument("who", metavar="WHO")
@repository_option
@commit_option
def remove(who: str, directory: Path, commit: bool) -> int:
    """Let keys sign no more: all of WHO, or the one whose fingerprint (SHA256:…) is given.

    The last admin stays: nobody could change the mesh again.
    """
    from mesh_sync.workspace import edit_signers

    return tell(edit_signers.remove(directory, who, commit=commit), commit, NEXT)
