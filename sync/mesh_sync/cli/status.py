"""`mesh-sync status`: what is applied, what differs from it, and how the peers are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click

from mesh_sync.cli import present
from mesh_sync.findings import printable
from mesh_sync.node import config as nodes
from mesh_sync.reconcile.status import PeerStatus, Status, look
from mesh_sync.terminal.options import config_option, json_option, print_json
from mesh_sync.terminal.table import print_table


@click.command()
@config_option
@json_option
def status(config: Path, as_json: bool) -> None:
    """Show the applied commit, the drift from it, and every peer. Changes nothing."""
    found = look(nodes.load(config))
    if as_json:
        print_json(found.as_json())
    else:
        _present(found)


def _present(found: Status) -> None:
    node, state = found.node, found.state
    applied, remote, pause = state.applied, state.remote, state.intent.pause
    click.echo(f"{node.name} on {node.interface}: {'up' if found.up else 'down'}")
    click.echo(f"applied commit: {applied.commit or 'none yet'}")
    if remote.commit and remote.commit != applied.commit:
        click.echo(f"remote commit:  {remote.commit}")
    if remote.silent_since:
        click.secho(f"no remote has answered since {_time(remote.silent_since)}; `mesh-sync now` says why", fg="red")
    if remote.refusal:
        click.secho(f"refused commit: {remote.refusal.commit}: {remote.refusal.message}", fg="red")
    if remote.bad:
        click.secho(remote.bad.message, fg="red")
    if state.trial:
        click.secho(f"on trial, not confirmed yet: {state.trial.commit}", fg="yellow")
    if applied.desired and applied.desired.other_key:
        click.secho("this node is changing its key; `mesh-sync rotate-key` continues", fg="yellow")
    if pause:
        why = f": {printable(pause.reason)}" if pause.reason else ""
        click.secho(f"paused since {_time(pause.since)}{why}; `mesh-sync resume` ends it", fg="yellow")
    for past in reversed(state.history):
        click.echo(f"applied {_time(past.applied_at)}: {past.commit[:10]} {past.ended}")
    if state.lost:
        click.secho("the state file could not be read; the next `mesh-sync now` writes a new one", fg="red")
    if found.drift:
        click.secho("the interface has drifted from it; `mesh-sync now` would make these changes:", fg="yellow")
        present.changes(found.drift)
    _peers(found.peers)


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"


def _peers(peers: Iterable[PeerStatus]) -> None:
    rows = [("peer", "state", "endpoint", "from", "handshake", "received", "sent")]
    for peer in peers:
        age = "never" if peer.handshake_age is None else f"{peer.handshake_age} s ago"
        numbers = (f"{peer.rx_bytes:,} B", f"{peer.tx_bytes:,} B")
        rows.append((peer.name, peer.state, peer.endpoint or "-", peer.endpoint_source, age, *numbers))
    print_table(rows)
