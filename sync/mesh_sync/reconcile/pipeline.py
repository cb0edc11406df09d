"""The steps of `mesh-sync now` after the look: find the aim, plan, apply, record; nothing is done when idle."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from attrs import evolve

from mesh_sync.errors import RolledBack, Unreachable
from mesh_sync.findings import printable
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.desired import with_gateway
from mesh_sync.node.own_keys import with_own_key
from mesh_sync.node.state import State
from mesh_sync.reconcile.apply import Done, difference, enforce, owned
from mesh_sync.reconcile.outcome import Outcome
from mesh_sync.reconcile.target import Aim, aim
from mesh_sync.repository.head_request import Question, asked, remotes
from mesh_sync.system.lock import locked
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.device import Device
from mesh_sync.wireguard.live import Live


def follow(
    node: Node,
    question: Question,
    *,
    dry_run: bool,
    retry: bool,
    wait: float,
    note: Callable[[str], None],
    second: bool = False,
) -> Outcome:
    """Make this node match the head that the remote answers with, or else its last applied state.

    The interface is read while the remote thinks; if there is anything to do, it is read again under the lock, for
    mesh-watchdog may have changed it. With ``second`` the remote was asked in vain before, under an interrupted trial.
    Raise DeviceError, ConfigError or Locked when not even that could be done.
    """
    before = states.load(node.state_file)
    device = Device(node.interface, node.sysctl_file, note)
    live = device.read(before.desired)
    home = before.home
    found = aim(node, evolve(home, bad=None, refusal=None) if retry else home, question, note)
    desired = with_own_key(with_gateway(found.after.desired, node), node) if found.after.desired else None
    new = desired is not None and is_new(home, found.after, desired)
    if before.trial and not new and not dry_run:
        from mesh_sync.reconcile.auto_rollback import give_up

        cut_off = isinstance(found.problem, Unreachable)
        state = give_up(node, device, found.after, wait, later=cut_off)
        undone = _changes(node, home.desired, before, live) if home.desired else live is not None
        if cut_off and undone and not second:  # by what was tried, perhaps
            with asked(remotes(node)) as again:
                return follow(node, again, dry_run=False, retry=retry, wait=wait, note=note, second=True)
        notes = ("what an interrupted run had tried is undone",) if undone else ()
        return outcome(node, evolve(found, after=state), Done((), notes))
    if desired is None:
        if found.after != before and not dry_run:
            states.save(node.state_file, evolve(found.after, owned=owned(node, before, live)))
        return outcome(node, found, Done(()))
    if new and node.confirm.deadline and not dry_run and (before.trial or _changes(node, desired, before, live)):
        from mesh_sync.reconcile.auto_rollback import attempt

        tried = attempt(node, device, found.after, desired, live, wait=wait)
        return outcome(node, evolve(found, after=tried.state, problem=tried.problem), tried.done)
    if new:
        found = evolve(found, after=found.after.ending("unconfirmed", time.time()))
    with locked(node.lock_file, wait):
        if desired != before.desired or difference(node, desired, before, live):
            live = device.read(desired)
        done = enforce(node, device, desired, before, found.after, live, dry_run=dry_run)
    return outcome(node, found, done)


def is_new(home: State, target: State, desired: Desired) -> bool:
    """Whether this is another state of the list, and not the confirmed one enforced, or a peer that expired."""
    return (home.commit, home.settings) != (target.commit, target.settings) and home.desired != desired


def _changes(node: Node, desired: Desired, before: State, live: Live | None) -> bool:
    """Whether anything on the interface would change."""
    return any(change.acted and change.kind != "conf" for change in difference(node, desired, before, live))


def outcome(node: Node, found: Aim, done: Done) -> Outcome:
    """What to tell of a run that had this aim and did that."""
    problem, state = found.problem, found.after
    if isinstance(problem, Unreachable):
        result = "unreachable"
    elif isinstance(problem, RolledBack):
        result = "rolled-back"
    elif problem is not None:
        result = "refused"
    else:
        result = "applied" if done.acted else "in-sync"
    return Outcome(
        node=node,
        result=result,
        commit=state.commit,
        remote_commit=state.remote_commit,
        changes=done.changes,
        notes=(*found.notes, *_pause(state), *done.notes),
        findings=found.findings,
        problem=problem,
        peers=len(state.desired.peers) if state.desired else 0,
    )


def _pause(state: State) -> tuple[str, ...]:
    if not state.paused:
        return ()
    since = f"paused since {datetime.fromtimestamp(state.paused.since, UTC):%Y-%m-%d %H:%M} UTC"
    why = f" ({printable(state.paused.reason)})" if state.paused.reason else ""
    same = state.remote_commit == state.commit
    where = "at the same commit" if same else f"at {(state.remote_commit or 'no commit yet')[:10]}"
    return (f"{since}{why}: the remote is {where}; go on with `mesh-sync resume`",)
