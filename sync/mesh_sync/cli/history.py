"""`mesh-sync log` and `blame`: what changed in the mesh, when, and by whose signature."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from mesh_sync.cli.options import repository_option
from mesh_sync.errors import ConfigError
from mesh_sync.findings import printable
from mesh_sync.terminal.command_line import json_option, print_json, print_table
from mesh_sync.workspace import signed_history
from mesh_sync.workspace.signed_history import Revision
from mesh_sync.workspace.typed import in_copy

MANY = 2_000
"""Commits after which it is said how far the reading is."""
_COLOURS = {"joined": "green", "left": "red", "renamed": "cyan", "admin": "yellow", "signer": "yellow"}


@click.command()
@click.argument("peer", required=False, default="")
@click.option("-n", "most", type=click.IntRange(min=1), metavar="N", help="The newest N commits only.")
@repository_option
@json_option
def log(peer: str, most: int | None, directory: Path, as_json: bool) -> None:
    """Show what changed in the mesh, when, and by whose signature; of PEER, also under its former names.

    A signer is told where the signature matches a key that the list had before that commit. A commit that nodes which
    verify signatures would refuse is marked, with the reason; `mesh-sync check --since` says so before a push.
    """
    found = islice(signed_history.log(directory, peer, _progress), most)
    if as_json:
        revisions = list(found)
        _raise_if_unknown(peer, revisions[:1], directory)
        print_json({"commits": [one.as_json() for one in revisions]})
        return
    first = list(islice(found, 1))
    _raise_if_unknown(peer, first, directory)
    for one in _chained(first, found):
        click.echo(_head(one))
        if one.refused:
            click.secho(f"  ! nodes refuse it: {one.refused}", fg="red")
        for change in one.changes:
            click.secho(f"  {change.text}", fg=_COLOURS.get(change.kind))
        if not one.changes:
            click.echo(f"  nothing in the list: {one.subject}")


@click.command()
@click.argument("peer")
@repository_option
@json_option
def blame(peer: str, directory: Path, as_json: bool) -> None:
    """Show which commit gave each key of a peer its value, when, and who signed it."""
    found = signed_history.blame(directory, peer, _progress)
    if as_json:
        keys = [{"key": one.key, "value": one.value, "set_by": _set_by(one.revision)} for one in found]
        print_json({"peer": peer, "keys": keys})
        return
    rows = [("key", "value", "commit", "date", "signed by")]
    for one in found:
        told = (*_when(one.revision), _taken(one.revision)) if one.revision else ("-", "-", "not committed yet")
        rows.append((one.key, one.value, *told))
    print_table(rows)


def _set_by(revision: Revision | None) -> dict[str, str | None] | None:
    if revision is None:
        return None
    return {key: value for key, value in revision.as_json().items() if key != "changes"}


def _head(one: Revision) -> str:
    commit, date = _when(one)
    return click.style(f"{date}  {commit}  ", bold=True) + click.style(_who(one), fg=None if one.signer else "red")


def _when(one: Revision) -> tuple[str, str]:
    return one.commit[:10], f"{one.date:%Y-%m-%d %H:%M} UTC"


def _who(one: Revision) -> str:
    return printable(one.signer or f"{one.author} ({one.problem})")


def _taken(one: Revision) -> str:
    return f"{_who(one)}; nodes refuse it: {one.refused}" if one.refused else _who(one)


def _chained(first: list[Revision], others: Iterator[Revision]) -> Iterator[Revision]:
    yield from first
    yield from others


def _raise_if_unknown(peer: str, found: list[Revision], directory: Path) -> None:
    if peer and not found:
        raise ConfigError(f"no commit has a peer {peer!r}", hint=in_copy(directory, "mesh-sync peer list"))


def _progress(number: int) -> None:
    """Say on a terminal how many commits have been read, where they are many."""
    if number >= MANY and sys.stderr.isatty():
        click.echo(f"{number:,} commits read", err=True)
