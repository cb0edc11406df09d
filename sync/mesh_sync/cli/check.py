"""`mesh-sync check`: what is wrong with a mesh repository."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from mesh_sync.check.examine import examine
from mesh_sync.cli import present
from mesh_sync.cli.options import directory_argument
from mesh_sync.findings import errors, some
from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.terminal.command_line import json_option, print_json
from mesh_sync.terminal.say import count
from mesh_sync.workspace.unpushed_admins import unpushed_admins
from mesh_sync.workspace.working_copy import read_list


@click.command()
@directory_argument
@click.option("--since", metavar="BASE",
              help="Check the commits after BASE too, as nodes do: signatures, rights, the guard.")  # fmt: skip
@click.option("--pre-receive", "hook", is_flag=True,
              help="As the pre-receive hook of the repository DIR on a git host: check what is pushed.")  # fmt: skip
@json_option
def check(directory: Path, since: str | None, hook: bool, as_json: bool) -> int:
    """Check a mesh repository. Prints a line for each finding, file:key: message; exits 1 if any is an error."""
    if hook:
        return _check_push(directory)
    if since is not None and not since.strip():
        raise click.UsageError("--since: BASE is empty; for the first push of a branch it is zeros, as git has it")
    tree = read_list(directory, "DIR")
    moment = datetime.now(UTC)
    mesh, findings = examine(tree, moment, advice=True)
    if since is None:
        findings = (*unpushed_admins(directory, tree), *findings)
    else:
        from mesh_sync.workspace.preflight import refusals  # a check without --since starts faster without it

        findings = (*refusals(directory, since), *findings)
    wrong = len(errors(findings))
    if as_json:
        print_json({"findings": [finding.as_json() for finding in findings]})
        return 1 if wrong else 0
    present.findings(findings, err=False)
    if wrong:
        click.secho(f"{count(wrong, 'error')}, {count(len(findings) - wrong, 'warning')}", fg="red", err=True)
    else:
        if mesh:
            _ways(PeerView(mesh, moment))
        peers = count(len(mesh.peers), "peer") if mesh else "no peers"
        click.secho(f"no errors, {count(len(findings), 'warning')}, {peers}", fg="green", err=True)
    return 1 if wrong else 0


def _ways(view: PeerView) -> None:
    """Say whose packets others see, those of exits and of relays, and who leads to networks that several peers have."""
    for name, users in sorted(view.exits.items()):
        click.echo(f"{count(len(users), 'peer')} will leave by the exit {name}: {some(users)}", err=True)
    for text in view.shared:
        click.echo(text, err=True)
    if text := view.relayed:
        click.echo(text, err=True)


def _check_push(host: Path) -> int:
    from mesh_sync.workspace.pre_receive import findings_of  # as above

    findings = findings_of(host, sys.stdin.buffer.read().decode(errors="replace").split("\n"))
    present.findings(findings, err=True)
    if errors(findings):
        click.secho("mesh-sync: refused: nodes would refuse this; mend it and push again", fg="red", err=True)
        return 1
    return 0
