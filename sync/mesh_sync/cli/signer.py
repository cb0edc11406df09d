"""`mesh-sync signer`: who may sign the commits of a mesh."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from mesh_sync.cli import present
from mesh_sync.cli.options import date_or_moment, repository_option
from mesh_sync.cli.present_edit import edit_options, present_edit
from mesh_sync.terminal.command_line import json_option, print_json, print_table
from mesh_sync.trust.signers import Signers
from mesh_sync.workspace import commits, edit_signers
from mesh_sync.workspace.edit import Edit
from mesh_sync.workspace.unpushed_admins import unpushed_admins
from mesh_sync.workspace.working_copy import WorkingCopy


@click.group()
def signer() -> None:
    """List, add and remove the SSH keys that may sign commits: the file allowed_signers.

    NAME@node.MESH is a node's key and counts for that node's own file; every other name is an admin's and counts for
    everything. The file keeps its comments; nothing is written that `mesh-sync check` would refuse.
    """


@signer.command("list")
@repository_option
@json_option
def list_(directory: Path, as_json: bool) -> None:
    """List the keys, and the fingerprint of the mesh to compare with what `mesh-sync join` shows on a node."""
    copy = WorkingCopy.open(directory)
    found, fingerprint = edit_signers.in_force(copy), commits.fingerprint(directory)
    if as_json:
        entries = [edit_signers.as_json(one) for one in found.entries]
        print_json({"mesh": copy.mesh.name, "fingerprint": fingerprint, "signers": entries})
    else:
        _present(found)
        click.echo(f"fingerprint of the mesh {copy.mesh.name}: {fingerprint or 'none before the first commit'}")
    present.findings(unpushed_admins(directory, copy.tree), err=True)
    present.list_errors(copy.findings, copy.directory)


def _present(found: Signers) -> None:
    rows = [("who", "rights", "type", "fingerprint", "valid")]
    for one in found.entries:
        limits = [
            f"{word} {moment:%Y-%m-%d %H:%M}"
            for word, moment in (("after", one.valid_after), ("before", one.valid_before))
            if moment
        ]
        rights = "node" if one.is_node else "admin"
        rows.append((one.principal, rights, one.kind, one.fingerprint, ", ".join(limits) or "-"))
    print_table(rows)


@signer.command()
@click.argument("principal", metavar="WHO")
@click.argument("key", metavar="KEY")
@click.option("--valid-before", callback=date_or_moment, metavar="DATE",
              help="When it expires: 2030-12-31 (at 0:00 UTC), or a moment.")  # fmt: skip
@edit_options
def add(principal: str, key: str, edit: Edit, valid_before: date | None) -> int:
    """Let a key sign. KEY is a public key, 'ssh-ed25519 AAAA…', or its file. The first creates allowed_signers.

    \b
    Example: an admin; and the key that `mesh-sync join` has made on the node aws of the mesh `home`
      mesh-sync signer add alice@example.org ~/.ssh/id_ed25519.pub --commit
      mesh-sync signer add aws@node.home 'ssh-ed25519 AAAA…' --commit
    """
    return present_edit(edit, edit_signers.add(edit, principal, key, valid_before))


@signer.command()
@click.argument("who", metavar="WHO")
@edit_options
def remove(who: str, edit: Edit) -> int:
    """Remove all keys of WHO, or the one with the fingerprint WHO (SHA256:…).

    The last admin cannot be removed: no key could change the mesh then.
    """
    return present_edit(edit, edit_signers.remove(edit, who))
