"""`mesh-sync secret`: the secret that preshared keys are derived from."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from mesh_sync.cli.present_edit import tell
from mesh_sync.terminal.options import repository_option
from mesh_sync.terminal.table import count

NEXT = "commit and push"


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """A moment as TOML writes it, with its time zone."""
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise click.BadParameter(f"{value!r} is not a moment such as 2030-12-31T18:00:00Z")
    return found


_file = click.Path(path_type=Path, dir_okay=False)
_OWN_FILE = "Your own copy of the mesh secret (0600), outside of the repository."
secret_file_option = click.option("--secret-file", type=_file, metavar="F", help=_OWN_FILE)
own_file_option = click.option("--secret-file", type=_file, metavar="F", required=True, help=_OWN_FILE)
key_option = click.option(
    "--private-key-file", type=_file, metavar="F", help="A node's WireGuard private key: opens what is sealed to it."
)
at_option = click.option(
    "--at", "since", callback=_moment, metavar="MOMENT",
    help="When nodes begin to move, such as 2030-12-31T18:00:00Z. By default in 5 minutes.",
)  # fmt: skip
commit_option = click.option("--commit", is_flag=True, help="Commit the files, and nothing else.")


@click.group()
def secret() -> None:
    """Preshared keys: make, rotate and seal the secret that every pair of peers derives its own key from.

    The secret is sealed to each node's key in secrets/, or handed out in files (mesh_secret_file in node.toml). Each
    change has an overlap in which the former secret is good too, and `retire` ends it.
    """


@secret.command()
@own_file_option
@click.option("--out-of-band", is_flag=True, help="Seal it to nobody: it gets to the nodes in files.")
@at_option
@repository_option
@commit_option
def new(directory: Path, secret_file: Path, since: datetime | None, out_of_band: bool, commit: bool) -> int:
    """Begin with preshared keys: make a first secret, and seal it to every managed peer."""
    from mesh_sync.workspace import edit_secrets as changes

    return tell(
        changes.new(changes.Place(directory, commit), secret_file, since, sealing=not out_of_band), commit, NEXT
    )


@secret.command()
@own_file_option
@at_option
@repository_option
@commit_option
def rotate(directory: Path, secret_file: Path, since: datetime | None, commit: bool) -> int:
    """Make another secret and move the mesh to it. Do so whenever somebody who knew it leaves."""
    from mesh_sync.workspace import edit_secrets as changes

    return tell(changes.rotate(changes.Place(directory, commit), secret_file, since), commit, NEXT)


@secret.command()
@at_option
@repository_option
@commit_option
def off(directory: Path, since: datetime | None, commit: bool) -> int:
    """Give preshared keys up again."""
    from mesh_sync.workspace import edit_secrets as changes

    return tell(changes.off(changes.Place(directory, commit), since), commit, NEXT)


@secret.command()
@click.option(
    "--force", is_flag=True, help="Even while pairs are still moving: those that have not lose their tunnels."
)
@repository_option
@commit_option
def retire(directory: Path, force: bool, commit: bool) -> int:
    """End the overlap: only the secret in use is good. A node that has not got it yet loses its tunnels.

    Refused until 6 minutes after the moment when nodes begin to move.
    """
    from mesh_sync.workspace import edit_secrets as changes

    return tell(changes.retire(changes.Place(directory, commit), force=force), commit, NEXT)


@secret.command()
@secret_file_option
@key_option
@repository_option
@commit_option
def seal(directory: Path, secret_file: Path | None, private_key_file: Path | None, commit: bool) -> int:
    """Seal the secret to every managed peer that does not have it, such as a new one."""
    from mesh_sync.workspace import edit_secrets as changes

    place = changes.Place(directory, commit)
    return tell(changes.seal_missing(place, changes.at_hand(place, secret_file, private_key_file)), commit, NEXT)


@secret.command()
@secret_file_option
@key_option
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the secrets to FILE (0600), to be carried to a node by hand.")  # fmt: skip
@repository_option
def show(directory: Path, secret_file: Path | None, private_key_file: Path | None, output: Path | None) -> None:
    """Say which secret is in use and who has it. The secret itself is never printed."""
    from mesh_sync.preshared import secret_file as files
    from mesh_sync.workspace import edit_secrets as changes
    from mesh_sync.workspace.secret_view import holders, in_words

    place = changes.Place(directory)
    if output:
        secrets = changes.at_hand(place, secret_file, private_key_file)
        files.save(place.outside(output), secrets)
        click.echo(f"wrote {count(len(secrets.by_id), 'secret')} to {output}")
        return
    copy = place.open()
    click.echo(in_words(copy.mesh.preshared))
    if copy.mesh.preshared:
        for name, holds in holders(copy.mesh, copy.tree.texts, copy.moment):
            click.echo(f"  {name}: {holds}")
