"""`mesh-sync import`: another tool's setup becomes a mesh repository."""

from __future__ import annotations

from pathlib import Path

import click

from mesh_sync.cli.options import folder
from mesh_sync.cli.present_edit import present_findings
from mesh_sync.terminal.table import count
from mesh_sync.workspace.edit import Edit
from mesh_sync.workspace.import_.take_over import SOURCES, Imported, take_over


@click.command("import")
@click.argument("source", type=click.Choice(list(SOURCES)))
@click.argument("path", type=click.Path(path_type=Path, exists=True), metavar="PATH")
@click.argument("directory", type=folder, default=Path(), metavar="[DIR]")
@click.option("--network", "networks", multiple=True, metavar="CIDR",
              help="A range of addresses, for a new mesh; may be repeated. [default: taken from the source]",
              )  # fmt: skip
@click.option("--keys", type=folder, metavar="KEYDIR",
              help="Write each private key found to KEYDIR/N.key (0600) instead of leaving it out.")  # fmt: skip
@click.option("--commit", is_flag=True, help="Commit the peers' files.")
def import_(
    source: str, path: Path, directory: Path, networks: tuple[str, ...], keys: Path | None, commit: bool
) -> int:
    """Import an existing setup into a mesh repository, DIR, which is created if it does not exist.

    \b
    wg-meshconf   PATH is its database.csv
    wg-quick      PATH is a wg-quick file, or a directory of them: one per node
    wg-gen-web    PATH is its data directory, with server.json

    What cannot be imported is reported, one line each. Private keys never get into the repository.
    """
    edit = Edit(directory, commit)
    made = take_over(edit, source, path, networks, keys, lambda text: click.secho(f"  ! {text}", fg="yellow"))
    _present(made, directory, keys)
    return 1 if made.edited.written and made.edited.written.errors else 0


def _present(made: Imported, directory: Path, keys: Path | None) -> None:
    for machine in made.machines:
        where = f", {', '.join(machine.endpoint)}" if machine.endpoint else ""
        via = f", via {machine.via}" if machine.via else ""
        click.secho(f"  + {machine.name}: {', '.join(map(str, machine.addresses))}{where}{via}", fg="green")
    present_findings(made.edited)
    place = "a new mesh repository" if made.new else "the mesh repository"
    click.echo(f"imported {count(len(made.machines), 'peer')} into {place} {directory}")
    if made.kept_keys:
        click.echo(f"{count(made.kept_keys, 'private key')} in {keys}: move each to its own machine, as")
        click.echo("  /etc/mesh-sync/private.key before `mesh-sync join`; `mesh-sync export` takes a phone's")
    if made.left_keys:
        click.echo(f"{count(made.left_keys, 'private key')} left out; --keys KEYDIR keeps them")
    if made.edited.commit:
        click.echo(f"committed {made.edited.commit}; next: git push")
    elif made.machines:
        click.echo(f"next: look at {directory / 'peers'}, then commit and push")
