"""`mesh-sync now` and `status`: the main job of a node, and how it stands."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from mesh_sync.cli import present
from mesh_sync.cli.options import verbose_option
from mesh_sync.cli.present_outcome import present_outcome
from mesh_sync.errors import MeshSyncError
from mesh_sync.findings import printable
from mesh_sync.node import config as nodes
from mesh_sync.node import state as states
from mesh_sync.reconcile.outcome import Outcome
from mesh_sync.reconcile.run import run_now
from mesh_sync.reconcile.status import look
from mesh_sync.terminal.command_line import config_option, json_option, print_json, print_table


@click.command()
@config_option
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--retry", is_flag=True, help="Evaluate a refused or rolled-back commit again.")
@click.option("--wait", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="SECONDS",
              help="How long to wait for another run to end.")  # fmt: skip
@json_option
@verbose_option
def now(config: Path, dry_run: bool, retry: bool, wait: float, as_json: bool, note: Callable[[str], None]) -> int:
    """Pull the list, check it, and make this node match.

    When no remote answers, or the new commit is refused, the last applied state stays in force. A machine that is
    not in the list yet waits to be admitted; that is not a failure.

    A new commit is rolled back unless a previously live peer and a remote answer within `[confirm] deadline` of
    node.toml; if no peer was live, a remote is enough. If going back helps, it is tried once more; if that fails too,
    this node refuses it until a newer one comes, or --retry. If going back does not help, the next run retries it, and
    later runs do so ever more rarely.
    """
    run = partial(run_now, dry_run=dry_run, retry=retry, wait=wait, note=note)
    return report(config, as_json, run, dry_run=dry_run)


def present_now(node: nodes.Node) -> int:
    """Run `now` on a node that was just made one, print how it ended, and return the exit code."""
    outcome = run_now(node)
    present_outcome(outcome, dry_run=False)
    return outcome.exit_code


def report(config: Path, as_json: bool, run: Callable[[nodes.Node], Outcome], *, dry_run: bool = False) -> int:
    """Run, print how it ended, and return the exit code."""
    try:
        outcome = run(nodes.load(config))
    except MeshSyncError as error:
        if as_json:
            print_json(_failed(config, error))
        raise
    if as_json:
        print_json(outcome.as_json())
    else:
        present_outcome(outcome, dry_run=dry_run)
    return outcome.exit_code


def _failed(config: Path, error: MeshSyncError) -> dict[str, Any]:
    """The object of `now --json` for a run that could not do its job."""
    name, state = None, states.State()
    with suppress(MeshSyncError):
        node = nodes.load(config)
        state = states.load(node.state_file)
        name = state.called(node.name)
    found = {"node": name, "result": "failed", "commit": state.applied.commit, "remote_commit": state.remote.commit}
    return {**found, "changes": [], "findings": [], "troubles": [], "message": error.message}


@click.command()
@config_option
@json_option
def status(config: Path, as_json: bool) -> None:
    """Show the applied commit, the drift from it, and every peer. Changes nothing."""
    found = look(nodes.load(config))
    if as_json:
        print_json(found.as_json())
        return
    node, state = found.node, found.state
    applied, remote, pause = state.applied, state.remote, state.intent.pause
    name = state.called(node.name)
    click.echo(f"{name} on {node.interface}: {'up' if found.up else 'down'}")
    if name != node.name:
        click.secho(f'node.toml still calls it {node.name}: write name = "{name}" there', fg="yellow")
    click.echo(f"applied commit: {applied.commit or 'none yet'}")
    if remote.commit and remote.commit != applied.commit:
        click.echo(f"remote commit:  {remote.commit}")
    if remote.silent_since:
        click.secho(f"no remote has answered since {_time(remote.silent_since)}; `mesh-sync now` says why", fg="red")
    if remote.refusal:
        click.secho(f"refused commit: {remote.refusal.commit}: {remote.refusal.message}", fg="red")
    if remote.bad:
        click.secho(remote.bad.message, fg="red")
    if remote.held and remote.held.commit != applied.commit:
        since = _time(remote.held.since)
        click.secho(f"commit {remote.held.commit} waits for the canaries since {since}", fg="yellow")
    if state.trial:
        click.secho(f"on trial, not confirmed yet: {state.trial.commit}", fg="yellow")
    if applied.desired and applied.desired.other_key:
        click.secho("this node is changing its key; `mesh-sync rotate-key` continues", fg="yellow")
    if applied.desired and applied.desired.is_elsewhere(node.machine):
        click.secho(f"stands by: the list has {name} on the machine {applied.desired.machine}", fg="yellow")
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
    present.troubles(found.troubles)
    rows = [("peer", "state", "endpoint", "from", "handshake", "received", "sent")]
    for peer in found.peers:
        age = "never" if peer.handshake_age is None else f"{peer.handshake_age} s ago"
        numbers = (f"{peer.rx_bytes:,} B", f"{peer.tx_bytes:,} B")
        how = f"relayed by {peer.relay}" if peer.relay else peer.state
        rows.append((peer.name, how, peer.endpoint or "-", peer.endpoint_source, age, *numbers))
    print_table(rows)
    for gateway in found.gateways:
        first, now_by = gateway.peers[0], gateway.carried_by
        choice = "the first choice" if now_by == first else f"the first choice is {first}"
        click.echo(f"{gateway.network}: sent to {now_by or 'no peer'}, {choice} of {', '.join(gateway.peers)}")


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
