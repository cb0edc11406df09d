"""`mesh-sync graph`: the mesh as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from mesh_sync.cli import present
from mesh_sync.cli.options import directory_argument, file
from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.system.files import write_atomically
from mesh_sync.terminal.table import count
from mesh_sync.workspace.graph import dot
from mesh_sync.workspace.graph import graph as graph_of
from mesh_sync.workspace.graph_picture import html, svg
from mesh_sync.workspace.working_copy import PUBLIC, WorkingCopy

SUFFIXES = (".dot", ".gv", ".svg", ".html")


@click.command()
@directory_argument
@click.option("-o", "--output", type=file, metavar="FILE",
              help="Write to FILE, in the format of its suffix: .dot or .gv, .svg, .html.")  # fmt: skip
def graph(directory: Path, output: Path | None) -> None:
    """Draw the mesh: peers, and the tunnels between them. Without -o in Graphviz's language, to stdout.

    \b
    Example: a page with the picture and a table of the peers
      mesh-sync graph -o mesh.html
    """
    kind = output.suffix.lower() if output else ".dot"
    if kind not in SUFFIXES:
        raise click.UsageError(f"-o {output}: the name must end in one of {', '.join(SUFFIXES)}")
    copy = WorkingCopy.open(directory)
    view = PeerView(copy.mesh, copy.moment)
    mesh = graph_of(view)
    text = svg(mesh) if kind == ".svg" else html(mesh, tuple(view.rows())) if kind == ".html" else dot(mesh)
    if output:
        write_atomically(output, text, PUBLIC)
        click.echo(f"wrote {output}: {count(len(mesh.nodes), 'peer')}, {count(len(mesh.edges), 'tunnel')}")
    else:
        click.echo(text, nl=False)
    present.list_errors(copy.findings)
