"""`mesh-sync secret`: the secret that preshared keys are derived from."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from mesh_sync.cli.options import date_or_moment, file, repository_option
from mesh_sync.cli.present_edit import edit_options, present_edit
from mesh_sync.terminal.say import count
from mesh_sync.workspace import edit_secrets
from mesh_sync.workspace.edit import Edit
from mesh_sync.workspace.sealed_files import holders


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """A moment with its time zone."""
    found = date_or_moment(context, parameter, value)
    if found is None or (isinstance(found, datetime) and found.tzinfo):
        return found
    raise click.BadParameter(f"{value!r} is not a moment such as 2030-12-31T18:00:00Z")


_OWN_FILE = "Your copy of the mesh secret (0600), outside the repository."
secret_file_option = click.option("--secret-file", type=file, metavar="F", help=_OWN_FILE)
own_file_option = click.option("--secret-file", type=file, metavar="F", required=True, help=_OWN_FILE)
key_option = click.option("--private-key-file", type=file, metavar="F",
                          help="A node's WireGuard private key: opens what is sealed to it.")  # fmt: skip
at_option = click.option("--at", "since", callback=_moment, metavar="MOMENT",
                         help="When nodes start to move, such as 2030-12-31T18:00:00Z. [default: in 5 minutes]",
                         )  # fmt: skip


@click.group()
def secret() -> None:
    """Make, rotate and seal the secret behind preshared keys: each pair of peers derives a key of its own from it.

    It is sealed to each node's key in secrets/, or handed out in files
    (mesh_secret_file in node.toml). After a change the former secret works too until `retire`.
    """


@secret.command()
@own_file_option
@click.option("--out-of-band", is_flag=True, help="Seal it to no peer: it reaches the nodes in files.")
@at_option
@edit_options
def new(edit: Edit, secret_file: Path, since: datetime | None, out_of_band: bool) -> int:
    """Start using preshared keys: make a first secret, and seal it to every managed peer."""
    return present_edit(edit, edit_secrets.new(edit, secret_file, since, sealing=not out_of_band))


@secret.command()
@own_file_option
@at_option
@edit_options
def rotate(edit: Edit, secret_file: Path, since: datetime | None) -> int:
    """Make a new secret and move the mesh to it, such as when a person who knew it leaves."""
    return present_edit(edit, edit_secrets.rotate(edit, secret_file, since))


@secret.command()
@at_option
@edit_options
def off(edit: Edit, since: datetime | None) -> int:
    """Stop using preshared keys."""
    return present_edit(edit, edit_secrets.off(edit, since))


@secret.command()
@click.option("--force", is_flag=True, help="Even while pairs are still moving; a node that has not pulled 6 minutes "
                                            "later loses its tunnels.")  # fmt: skip
@edit_options
def retire(edit: Edit, force: bool) -> int:
    """Retire the former secret. A node that does not have the one in use loses its tunnels.

    Refused until 6 minutes after nodes start to move.
    """
    return present_edit(edit, edit_secrets.retire(edit, force=force))


@secret.command()
@secret_file_option
@key_option
@edit_options
def seal(edit: Edit, secret_file: Path | None, private_key_file: Path | None) -> int:
    """Seal the secret to every managed peer that lacks it, such as a new one."""
    return present_edit(edit, edit_secrets.seal_missing(edit, secret_file, private_key_file))


@secret.command()
@secret_file_option
@key_option
@click.option("-o", "--output", type=file, metavar="FILE",
              help="Write the secrets to FILE (0600), to carry to a node by hand.")  # fmt: skip
@repository_option
def show(directory: Path, secret_file: Path | None, private_key_file: Path | None, output: Path | None) -> None:
    """Show which secret is in use and which peers have it. The secret itself is never printed."""
    edit = Edit(directory)
    if output:
        number = edit_secrets.copy_out(edit, output, secret_file, private_key_file)
        click.echo(f"wrote {count(number, 'secret')} to {output}")
        return
    copy = edit.open()
    click.echo(edit_secrets.in_words(copy.mesh.preshared))
    if copy.mesh.preshared:
        for held in holders(copy):
            click.echo(f"  {held.name}: {held}")
