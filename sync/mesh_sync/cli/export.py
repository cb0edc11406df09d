"""`mesh-sync export` and `graph`: the mesh for what does not run mesh-sync, as configs, QR codes and pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import click

from mesh_sync.cli import present
from mesh_sync.cli.options import (
    directory_argument,
    file,
    or_stdout,
    private_key_option,
    repository_option,
    secret_option,
)
from mesh_sync.findings import some
from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.wireguard.conf import PLACEHOLDER
from mesh_sync.workspace.export import (
    IMAGE_SUFFIXES,
    addresses,
    check_output,
    code,
    draw,
    endpoints,
    names_no_tunnel,
    text,
    write,
)
from mesh_sync.workspace.graph import dot, nats
from mesh_sync.workspace.graph import graph as graph_of
from mesh_sync.workspace.graph_picture import html, svg
from mesh_sync.workspace.graph_summary import LARGE, summary
from mesh_sync.workspace.output import write_output
from mesh_sync.workspace.typed import in_copy
from mesh_sync.workspace.working_copy import PUBLIC, WorkingCopy

PICTURE_SUFFIXES = (".dot", ".gv", ".svg", ".html")


@click.command()
@click.argument("name", metavar="N")
@repository_option
@private_key_option
@secret_option
@click.option("--qr", is_flag=True, help="Show it as a QR code, for the camera of a phone.")
@click.option("-o", "--output", type=file, callback=or_stdout, metavar="FILE",
              help="Write it to FILE (0600): .conf as text, .svg and .png as a QR code.")  # fmt: skip
def export(
    name: str, directory: Path, private_key_file: Path | None, secret_file: Path | None, qr: bool, output: Path | None
) -> None:
    """Print the config of an unmanaged peer, as text or as a QR code.

    The config does not follow the list: export it again when the mesh changes. With `via` the peer has a single tunnel,
    and its config rarely changes, not even when that peer moves to another machine (`peer set --machine`).
    """
    if output:
        check_output(output, directory, bool(private_key_file or secret_file))
    config = text(directory, name, private_key_file, secret_file)
    if PLACEHOLDER in config and (qr or (output and output.suffix.lower() in IMAGE_SUFFIXES)):
        warning = "this code has a placeholder for the private key; --private-key-file F fills it in"
        click.secho(warning, fg="yellow", err=True)
    if "\n[Peer]\n" in config and not endpoints(config):
        give = in_copy(directory, "mesh-sync peer set N --endpoint HOST:PORT")
        click.secho(f"no peer in this config has an endpoint, so it reaches none: {give}", fg="yellow", err=True)
    if fixed := addresses(config):
        found = f"{fixed[0]} is an address" if len(fixed) == 1 else f"{some(fixed)} are addresses"
        warning = f"{found}: where that changes, this config has to be exported again; not with a name (DDNS)"
        click.secho(warning, fg="yellow", err=True)
    if output:
        write(output, config)
        if names_no_tunnel(output):
            warning = "a tunnel is named after its file: rename it to at most 15 letters, digits and _=+.-, then .conf"
            click.secho(warning, fg="yellow", err=True)
        click.echo(f"wrote {output}", err=True)
    if qr:
        for line in draw(code(config)).splitlines():
            click.echo(click.style(line, fg="bright_white", bg="black") if sys.stdout.isatty() else line)
    elif not output:
        click.echo(config, nl=False)


@click.command()
@directory_argument
@click.option("-o", "--output", type=file, callback=or_stdout, metavar="FILE",
              help="Write to FILE, in the format of its suffix: .dot or .gv, .svg, .html.")  # fmt: skip
@click.option("--fleet", type=click.File("rb"), metavar="FILE",
              help="Show what NATs nodes are behind: what `mesh-sync fleet --json` printed; - is stdin.")  # fmt: skip
def graph(directory: Path, output: Path | None, fleet: BinaryIO | None) -> None:
    """Draw the mesh: peers, and the tunnels between them. Without -o, print it in Graphviz's language.

    Above 100 peers it draws groups: by each peer's first tag, or by role where there are no tags.

    \b
    Example: a page with the picture and a table of the peers
      mesh-sync graph -o mesh.html

    \b
    Example: the same on a node, with the NATs that nodes find themselves behind
      mesh-sync fleet --json | mesh-sync graph --fleet - -o mesh.html
    """
    kind = output.suffix.lower() if output else ".dot"
    if kind not in PICTURE_SUFFIXES:
        raise click.UsageError(f"-o {output}: the name must end in one of {', '.join(PICTURE_SUFFIXES)}")
    copy = WorkingCopy.open(directory)
    view = PeerView(copy.mesh, copy.moment)
    mesh = summary(view) if len(copy.mesh.peers) > LARGE else graph_of(view, nats(fleet.read()) if fleet else {})
    drawn = svg(mesh) if kind == ".svg" else html(mesh, tuple(view.rows())) if kind == ".html" else dot(mesh)
    if output:
        write_output(output, drawn, PUBLIC)
        click.echo(f"wrote {output}: {mesh}")
    else:
        click.echo(drawn, nl=False)
    present.list_errors(copy.findings, copy.directory)
