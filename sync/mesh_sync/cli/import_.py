"""`mesh-sync import`: take over another tool's set-up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mesh_sync.terminal.table import count

SOURCES = ("wg-meshconf", "wg-quick", "wg-gen-web")


@click.command("import")
@click.argument("source", type=click.Choice(SOURCES))
@click.argument("path", type=click.Path(path_type=Path, exists=True), metavar="PATH")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[DIR]")
@click.option("--network", "networks", multiple=True, metavar="CIDR",
              help="A range of addresses, for a new mesh; may be repeated. By default found out.")  # fmt: skip
@click.option("--keys", type=click.Path(path_type=Path, file_okay=False), metavar="KEYDIR",
              help="Write each private key found to KEYDIR/N.key (0600); without it they are left out.")  # fmt: skip
@click.option("--commit", is_flag=True, help="Commit the peers' files.")
def import_(directory: Path, **options: Any) -> int:
    """Take over an existing set-up into the mesh repository DIR, which is made if it is not there.

    \b
    wg-meshconf   PATH is its database.csv
    wg-quick      PATH is a wg-quick file, or a directory of them: one per node
    wg-gen-web    PATH is its data directory, with server.json

    What cannot be taken over is said, one line each. Private keys never get into the repository.
    """
    from mesh_sync.workspace.import_.take_over import Request, take_over

    request = Request(directory=directory, **options)
    made = take_over(request, note=lambda text: click.secho(f"  ! {text}", fg="yellow"))
    for machine in made.machines:
        where = f", {', '.join(machine.endpoint)}" if machine.endpoint else ""
        via = f", via {machine.via}" if machine.via else ""
        click.secho(f"  + {machine.name}: {', '.join(map(str, machine.addresses))}{where}{via}", fg="green")
    for finding in (*made.written.warnings, *made.written.errors):
        click.secho(str(finding), fg="yellow", err=True)
    place = "a new mesh repository" if made.new else "the mesh repository"
    click.echo(f"{count(len(made.machines), 'peer')} taken over into {place}, {directory}")
    if made.kept_keys:
        click.echo(f"{count(made.kept_keys, 'private key')} in {request.keys}: each belongs on its own machine, as")
        click.echo("  /etc/mesh-sync/private.key before `mesh-sync join`; that of a phone goes into `mesh-sync export`")
    if made.left_keys:
        click.echo(f"{count(made.left_keys, 'private key')} left out; --keys KEYDIR would have kept them")
    if made.commit:
        click.echo(f"committed {made.commit}; next: git push")
    elif made.machines:
        click.echo(f"next: look at {directory / 'peers'}, then commit and push")
    return 1 if made.written.errors else 0
