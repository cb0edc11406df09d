"""The way of a commit on a node: ask, decide, evaluate, plan, then try or apply, and record."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from mesh_sync.diagnose.look import troubles
from mesh_sync.diagnose.routes import AT_ONCE
from mesh_sync.errors import Unreachable
from mesh_sync.node import clock as clocks
from mesh_sync.node import state as states
from mesh_sync.node.clock import Clock
from mesh_sync.node.config import Node
from mesh_sync.node.desired import on_this_machine
from mesh_sync.node.state import State
from mesh_sync.reconcile.covering import told as covering_told
from mesh_sync.reconcile.covering import with_covering
from mesh_sync.reconcile.decision import Way, settle
from mesh_sync.reconcile.drift import difference, owned, touches
from mesh_sync.reconcile.heads import verdict_on
from mesh_sync.reconcile.outcome import Done, Outcome, outcome, told
from mesh_sync.reconcile.promise import entered, is_settled, nothing_applied
from mesh_sync.repository.remote import HeadRequest
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.read import read


def now(
    node: Node, request: HeadRequest, *, dry_run: bool, retry: bool, wait: float, note: Callable[[str], None]
) -> Outcome:
    """Make this node match the head that the remote answers with, or else what was confirmed last.

    The caller holds the lock of the run. The interface is read while the remote thinks; if there is anything to do, it
    is read again under the lock, for mesh-watchdog may have changed it. Raise DeviceError, ConfigError or Locked when
    not even that could be done.
    """
    before = states.load(node.state_file)
    live = read(node.interface, node.sysctl_file, before.applied.desired)
    request.join()
    clock = clocks.read(node, before.last_confirmed, keep=not dry_run)
    found = _bring_about(node, before, live, request, clock, dry_run=dry_run, retry=retry, wait=wait, note=note)

    # What keeps it from working all the same. After a change the interface is another one.
    applied = before.applied
    if found.changes and not dry_run:
        applied = states.load(node.state_file).applied
        live = read(node.interface, node.sysctl_file, applied.desired)
    return evolve(found, troubles=troubles(node, applied, live, clock, AT_ONCE))


def _bring_about(
    node: Node,
    before: State,
    live: Live | None,
    request: HeadRequest,
    clock: Clock,
    *,
    dry_run: bool,
    retry: bool,
    wait: float,
    note: Callable[[str], None],
) -> Outcome:
    # Decide whether what the remotes answer is news, and evaluate the news.
    desired, way_past = before.applied.desired, False
    if desired and desired.exit_routes and live and not dry_run and isinstance(request.so_far, Unreachable):
        from mesh_sync.reconcile.past_exit import past_dead_exit  # few runs meet a dead exit

        with past_dead_exit(node, desired, live, request, note) as (request, sentence):
            verdict = verdict_on(node, before, request, clock, retry=retry, note=note)
        way_past, verdict = bool(sentence), evolve(verdict, notes=(*verdict.notes, *filter(None, [sentence])))
    else:
        verdict = verdict_on(node, before, request, clock, retry=retry, note=note)

    # Plan: what would change, and whether that has to be confirmed.
    after, desired = verdict.after, verdict.after.applied.desired
    if desired:
        known = before.applied.desired
        desired = on_this_machine(with_covering(node, desired, known, live), node)
        verdict = evolve(verdict, notes=(*verdict.notes, *covering_told(known, desired)))
        after = evolve(after, applied=evolve(after.applied, desired=desired))
    changes = difference(node, desired, before, live) if desired else ()
    way = settle(before, after.applied, differs=touches(changes), confirm=bool(node.confirm.deadline))
    if way is Way.APPLY and not changes and is_settled(before, after):
        return outcome(node, verdict, Done())

    # Try, go back, or apply; each records what it did.
    from mesh_sync.reconcile import apply, auto_rollback  # all that changes something, which an idle run does without

    device = apply.device_of(node, note)
    if way is Way.TRY and not dry_run:
        took = None if way_past and desired and desired.exit_routes else request.took  # a dead exit leads to no remote
        if verdict.mirrored:
            from mesh_sync.reconcile.mirrored import answering  # few runs have news

            took = answering(node, before.applied.desired, desired, changes)
        return told(node, verdict, auto_rollback.attempt(node, device, after, wait=wait, took=took))
    if way is Way.GO_BACK and not dry_run:
        return told(node, verdict, auto_rollback.go_back(node, device, before, live, verdict, wait))
    after = entered(after, clock.wall) if way is Way.APPLY_UNCONFIRMED else after
    if desired:
        return outcome(node, verdict, apply.apply(node, device, before, after, wait=wait, dry_run=dry_run))
    if after != before and not dry_run:  # nothing was ever applied here: what the look found out is kept
        states.save(node.state_file, nothing_applied(after, owned(node, before, live)))
    return outcome(node, verdict, Done())
