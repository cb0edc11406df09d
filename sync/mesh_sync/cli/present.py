"""Plain sentences for people. Colours and tables only on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from mesh_sync.errors import Refused, RolledBack
from mesh_sync.findings import ERROR, Finding, errors, printable
from mesh_sync.mesh.model import Mesh
from mesh_sync.reconcile.outcome import Outcome
from mesh_sync.reconcile.status import PeerStatus, Status
from mesh_sync.terminal.exit import complain
from mesh_sync.terminal.table import count, table
from mesh_sync.trust.signers import Signers
from mesh_sync.wireguard.plan import Change

_SIGNS = {"added": ("+", "green"), "removed": ("-", "red")}


def outcome(found: Outcome, *, dry_run: bool) -> None:
    """Say how a run of `now` ended: changes and the result on stdout, what went wrong on stderr."""
    interface = found.node.interface
    changes(found.changes)
    for finding in found.findings:
        _finding(finding, err=isinstance(found.problem, Refused))
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


def findings(found: Iterable[Finding], mesh: Mesh | None) -> None:
    """The findings, one a line, and a closing sentence on stderr."""
    found = tuple(found)
    for finding in found:
        _finding(finding, err=False)
    wrong = len(errors(found))
    if wrong:
        click.secho(f"{count(wrong, 'error')}, {count(len(found) - wrong, 'warning')}", fg="red", err=True)
    else:
        peers = count(len(mesh.peers), "peer") if mesh else "no peers"
        click.secho(f"no errors, {count(len(found), 'warning')}, {peers}", fg="green", err=True)


def _finding(finding: Finding, *, err: bool) -> None:
    click.secho(str(finding), fg="red" if finding.severity == ERROR else "yellow", err=err)


def plans(nodes: Mapping[str, Iterable[Change]]) -> None:
    """What a change does to every node."""
    for name, made in nodes.items():
        click.secho(name, bold=True)
        changes(made)
    click.echo(f"{count(len(nodes), 'node')} would change" if nodes else "no node would change")


def status(found: Status) -> None:
    """The whole of `status`, as text."""
    node, state = found.node, found.state
    click.echo(f"{node.name} on {node.interface}: {'up' if found.up else 'down'}")
    click.echo(f"applied commit: {state.commit or 'none yet'}")
    if state.remote_commit and state.remote_commit != state.commit:
        click.echo(f"remote commit:  {state.remote_commit}")
    if state.silent_since:
        click.secho(f"no remote answers since {_time(state.silent_since)}: `mesh-sync now` says why", fg="red")
    if state.refusal:
        click.secho(f"refused commit: {state.refusal.commit}: {state.refusal.message}", fg="red")
    if state.bad:
        click.secho(f"undone commit: {state.bad.commit}: {state.bad.message}", fg="red")
    if state.trial:
        click.secho(f"on trial, not confirmed yet: {state.trial.commit}", fg="yellow")
    if state.desired and state.desired.other_key:
        click.secho("this node is changing its key; `mesh-sync rotate-key` goes on with it", fg="yellow")
    if state.paused:
        why = f": {printable(state.paused.reason)}" if state.paused.reason else ""
        click.secho(f"paused since {_time(state.paused.since)}{why}; go on with `mesh-sync resume`", fg="yellow")
    for past in reversed(state.history):
        click.echo(f"applied {_time(past.applied_at)}: {past.commit[:10]} {past.ended}")
    if state.lost:
        click.secho("the state file could not be read; the next `mesh-sync now` writes it anew", fg="red")
    if found.drift:
        click.secho("the interface differs from it; `mesh-sync now` would do this:", fg="yellow")
        changes(found.drift)
    _peers(found.peers)


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"


def _peers(peers: Iterable[PeerStatus]) -> None:
    rows = [("peer", "state", "endpoint", "from", "handshake", "received", "sent")]
    for peer in peers:
        age = "never" if peer.handshake_age is None else f"{peer.handshake_age} s ago"
        numbers = (f"{peer.rx_bytes:,} B", f"{peer.tx_bytes:,} B")
        rows.append((peer.name, peer.state, peer.endpoint or "-", peer.endpoint_source, age, *numbers))
    table(rows)


def signers(found: Signers) -> None:
    """Who may sign, one key a row."""
    rows = [("who", "rights", "type", "fingerprint", "valid")]
    for one in found.entries:
        limits = [
            f"{word} {moment:%Y-%m-%d %H:%M}"
            for word, moment in (("after", one.valid_after), ("before", one.valid_before))
            if moment
        ]
        rows.append(
            (one.principal, "node" if one.is_node else "admin", one.kind, one.fingerprint, ", ".join(limits) or "-")
        )
    table(rows)


def still_wrong(found: Iterable[Finding]) -> None:
    """Say that what is shown is not the whole list, when some of it cannot be read or is wrong."""
    if wrong := errors(found):
        click.secho(f"the list has {count(len(wrong), 'error')}: mesh-sync check", fg="red", err=True)


def peer(facts: Mapping[str, Any]) -> None:
    """The whole of `peer show`, as text."""
    effective = facts["effective"]
    click.secho(f"{facts['name']}: {facts['state']}", bold=True)
    _line("public key", facts["public_key"])
    _line("next public key", facts["next_public_key"])
    _line("addresses", facts["addresses"])
    _line("name over the mesh", effective["dns_name"])
    _line("endpoint", facts["endpoint"] or "none: it begins every session itself")
    _line("subnets", facts["subnets"])
    _line("reached via", facts["via"])
    _line("relay", "others are reached through it" if effective["relay"] else "")
    for key, unit in (("listen_port", ""), ("mtu", " bytes"), ("persistent_keepalive", " s")):
        origin = "" if facts[key] is not None else " (by default)"
        value = f"{effective[key]}{unit}" if effective[key] else "off"
        _line(key.replace("_", " "), f"{value}{origin}")
    for key in ("expires", "owner", "description", "tags"):
        _line(key, facts[key])
    _line("talks to", f"{count(len(facts['talks_to']), 'peer')}" if facts["talks_to"] else "nobody")
    for neighbour in facts["talks_to"]:
        at = f" at {neighbour['endpoint'][0]}" if neighbour["endpoint"] else ""
        click.echo(f"  {neighbour['name']}{at}: {', '.join(neighbour['allowed_ips'])}")


def _line(name: str, value: object) -> None:
    if value:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        click.echo(f"{name + ':':<22}{printable(text)}")
