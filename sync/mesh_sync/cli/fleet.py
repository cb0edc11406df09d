"""`mesh-sync fleet`: which node has applied which commit, asked over the mesh."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from mesh_sync.errors import ConfigError
from mesh_sync.findings import some
from mesh_sync.fleet.compare import Fleet, Row, Standing
from mesh_sync.fleet.look import look
from mesh_sync.fleet.verify import Doubt
from mesh_sync.node import config as nodes
from mesh_sync.node.config import Node
from mesh_sync.terminal.command_line import config_option, json_option, print_json, print_table
from mesh_sync.terminal.say import count, duration

BETWEEN = 1.0
"""Seconds between two looks of --watch, on top of what a look takes."""
KEPT = {"refused": "refused another commit", "rolled-back": "rolled another commit back"}
"""What is said of nodes that have the newest commit of those that count, by the result of their last run."""
HEADINGS = ("node", "commit", "for", "last run", "peers", "NAT", "signature", "version")
DOUBTS = {
    Doubt.UNREADABLE: "does not answer as a node does",
    Doubt.MISNAMED: "answers in the name of another node",
    Doubt.UNSIGNED: "has not signed its answer, and allowed_signers has its key",
    Doubt.FORGED: "has an answer that is not signed with its key in allowed_signers",
    Doubt.OLD: "has an answer of another time: it is a repeated one, or a clock is wrong",
}


@click.command()
@config_option
@json_option
@click.option("--watch", is_flag=True, help="Ask again and again, until Ctrl-C.")
def fleet(config: Path, as_json: bool, watch: bool) -> int:
    """Ask every node of the mesh which commit it has applied.

    The nodes are asked over the tunnel, all at once, within two seconds; this needs the node.toml of a node, so run it
    on one. Of a node's peers, so many are up/stale/relayed, and new if its watchdog has just begun and not heard
    them yet. Exit code 1 if a node lags behind, is silent, or says what cannot be believed.
    """
    node = _node(config)
    while True:
        found = look(node)
        if watch and sys.stdout.isatty() and not as_json:
            click.clear()
        if as_json and watch:
            click.echo(json.dumps(found.as_json(), separators=(",", ":")))
        elif as_json:
            print_json(found.as_json())
        else:
            show(found, time.time())
        if not watch:
            return 0 if found.is_current else 1
        time.sleep(BETWEEN)


def _node(config: Path) -> Node:
    try:
        return nodes.load(config)
    except ConfigError as error:
        if not isinstance(error.__context__, FileNotFoundError):
            raise
        hint = "nodes are asked over the mesh: run it on a machine that has joined, this one or another"
        raise ConfigError(error.message, hint=hint) from None


def show(found: Fleet, moment: float) -> None:
    """Print all nodes as a table at ``moment`` (Unix seconds), and below it what is not as it should be."""
    print_table([HEADINGS, *(_row(row, moment) for row in found.rows)])
    at = _short(found.newest)
    if found.is_current:
        click.secho(f"{count(len(found.rows), 'node')} at {at}", fg="green")
    for names, words in _wrong(found):
        click.secho(f"{some(names)}: {words}", fg="red")
    for result, words in KEPT.items():
        rows = (row for row in found.rows if row.standing is Standing.CURRENT)
        if names := tuple(row.name for row in rows if row.said and row.said.result == result):
            click.secho(f"{some(names)}: {words}; mesh-sync status there says why", fg="yellow")
    if found.asker in found.names(Standing.SILENT):
        hint = "is this node: mesh-sync status says whether it is up, mesh-watchdog status whether its watchdog runs"
        click.secho(f"{found.asker} {hint}", fg="yellow")


def _wrong(found: Fleet) -> Iterator[tuple[tuple[str, ...], str]]:
    words = {
        Standing.LAGS: f"not at {_short(found.newest)} yet",
        Standing.AHEAD: "at a commit that this node has not got",
        Standing.SILENT: "no answer: no tunnel, or no mesh-watchdog that serves names there",
    }
    yield from ((names, text) for standing, text in words.items() if (names := found.names(standing)))
    for doubt, text in DOUBTS.items():
        if names := tuple(row.name for row in found.rows if row.heard.doubt is doubt):
            yield names, text


def _row(row: Row, moment: float) -> tuple[str, ...]:
    said = row.said
    if said is None:
        return (row.name, row.standing.value, *["-"] * 4, _signature(row), "-")
    run = f"{said.result} ({said.cause})" if said.cause else said.result or "none"
    return (
        row.name,
        _short(said.commit) + (" (on trial: " + _short(said.trial) + ")" if said.trial else ""),
        duration(moment - said.since) if said.since is not None else "-",
        f"{run}, {duration(moment - said.ran)} ago" if said.ran is not None else run,
        f"{said.up}/{said.stale}/{said.relayed}" + (f", {said.new} new" if said.new else ""),
        said.nat or "-",
        _signature(row),
        said.version,
    )


def _signature(row: Row) -> str:
    return row.heard.signature.value if row.heard.signature else "-"


def _short(commit: str | None) -> str:
    return commit[:10] if commit else "no commit"
