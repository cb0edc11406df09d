"""`mesh-sync check`: what is wrong with a mesh repository."""

from __future__ import annotations

from pathlib import Path

import click

from mesh_sync.cli import present
from mesh_sync.cli.options import directory_argument
from mesh_sync.findings import Finding, errors
from mesh_sync.mesh.model import Mesh
from mesh_sync.terminal.options import json_option, print_json
from mesh_sync.terminal.table import count
from mesh_sync.workspace.working_copy import examine_directory


@click.command()
@directory_argument
@click.option("--since", metavar="BASE",
              help="Check the commits after BASE too, as nodes do: signatures, rights, the guard.")  # fmt: skip
@json_option
def check(directory: Path, since: str | None, as_json: bool) -> int:
    """Check a mesh repository. Every finding is a line, file:key: message; exit 1 if one is an error."""
    mesh, findings = examine_directory(directory)
    if since is not None:
        # GitPython and what verifies histories would add half to the start-up time of a check without --since
        from mesh_sync.workspace.preflight import refusals

        findings = (*refusals(directory, since), *findings)
    if as_json:
        print_json({"findings": [finding.as_json() for finding in findings]})
    else:
        _present(findings, mesh)
    return 1 if errors(findings) else 0


def _present(found: tuple[Finding, ...], mesh: Mesh | None) -> None:
    """Print the findings, and a closing sentence on stderr."""
    present.findings(found, err=False)
    wrong = len(errors(found))
    if wrong:
        click.secho(f"{count(wrong, 'error')}, {count(len(found) - wrong, 'warning')}", fg="red", err=True)
    else:
        peers = count(len(mesh.peers), "peer") if mesh else "no peers"
        click.secho(f"no errors, {count(len(found), 'warning')}, {peers}", fg="green", err=True)
