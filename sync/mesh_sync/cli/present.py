"""How a run of `mesh-sync now` ended, and its parts, in plain sentences. Colours only on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

import click

from mesh_sync.errors import Refused, RolledBack
from mesh_sync.findings import ERROR, Finding, errors
from mesh_sync.reconcile.outcome import Outcome
from mesh_sync.terminal.exit import complain
from mesh_sync.terminal.table import count
from mesh_sync.wireguard.plan import Change

_SIGNS = {"added": ("+", "green"), "removed": ("-", "red")}


def outcome(found: Outcome, *, dry_run: bool) -> None:
    """Print the changes and the result on stdout, and what went wrong on stderr."""
    interface = found.node.interface
    changes(found.changes)
    findings(found.findings, err=isinstance(found.problem, Refused))
    notes(found.notes)
    acted = [change for change in found.changes if change.acted]
    at = f"commit {found.commit[:10]}" if found.commit else "nothing yet"
    if found.problem:
        complain(found.problem)
        if found.commit and isinstance(found.problem, RolledBack) and acted:
            click.echo(f"{interface} is back at {at} ({count(found.peers, 'peer')})")
        elif found.commit:
            done = f"{count(len(acted), 'change')} made" if acted else "nothing to change"
            click.echo(f"{interface} stays at {at} ({count(found.peers, 'peer')}, {done})")
    elif acted and dry_run:
        click.echo(f"{interface} would get {count(len(acted), 'change')} for {at}")
    elif acted:
        click.echo(f"{interface} is at {at}: {count(len(acted), 'change')}, {count(found.peers, 'peer')}")
    else:
        click.echo(found.in_sync)


def changes(made: Iterable[Change]) -> None:
    """One line for each change."""
    for change in made:
        sign, colour = _SIGNS.get(change.kind.rpartition("-")[2], ("~", "yellow"))
        click.secho(f"  {sign if change.acted else '?'} {change.text}", fg=colour)


def notes(texts: Iterable[str]) -> None:
    """What could not be done yet, one line each."""
    for text in texts:
        click.secho(f"  ! {text}", fg="yellow")


def findings(found: Iterable[Finding], *, err: bool) -> None:
    """One line for each finding: file:key: message."""
    for finding in found:
        click.secho(str(finding), fg="red" if finding.severity == ERROR else "yellow", err=err)


def list_errors(found: Iterable[Finding]) -> None:
    """Say on stderr that what is shown may not be the whole list, if the list has errors."""
    if wrong := errors(found):
        click.secho(f"the list has {count(len(wrong), 'error')}; next: mesh-sync check", fg="red", err=True)
