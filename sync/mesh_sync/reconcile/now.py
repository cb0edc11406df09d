"""The way of a commit on a node: ask, decide, evaluate, plan, then try or apply, and record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from attrs import evolve

from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.desired import on_this_machine
from mesh_sync.node.fingerprint import fingerprint
from mesh_sync.node.state import State
from mesh_sync.reconcile.apply import Done, apply, difference, owned, touches
from mesh_sync.reconcile.decision import Apply, Evaluate, Try, decide, settle
from mesh_sync.reconcile.outcome import Outcome, outcome
from mesh_sync.reconcile.promise import entered, heard, is_settled, nothing_applied
from mesh_sync.reconcile.verdict import keep
from mesh_sync.repository.head_request import Question
from mesh_sync.repository.remote import Head
from mesh_sync.wireguard.device import Device
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.psk_rollover import overlapping


def now(
    node: Node, request: Question, *, dry_run: bool, retry: bool, wait: float, note: Callable[[str], None]
) -> Outcome:
    """Make this node match the head that the remote answers with, or else what was confirmed last.

    The caller holds the lock of the run. The interface is read while the remote thinks; if there is anything to do, it
    is read again under the lock, for mesh-watchdog may have changed it. Raise DeviceError, ConfigError or Locked when
    not even that could be done.
    """
    before = states.load(node.state_file)
    device = Device(node.interface, node.sysctl_file, note)
    live = device.read(before.applied.desired)

    # Ask the remote, and decide whether its answer is news.
    answer = request.result()
    moment = datetime.now(UTC)
    head = answer.commit if isinstance(answer, Head) else None
    known = heard(before, head, moment.timestamp())
    decision = decide(known, head, fingerprint(node), moment.timestamp(), retry=retry)

    # Evaluate the news; without any, what was confirmed last is what is to be.
    if isinstance(answer, Head) and isinstance(decision, Evaluate):
        from mesh_sync.reconcile.evaluate import evaluate  # all that knows a mesh, which an idle run does without

        verdict = evaluate(node, before, answer, request.remote, moment, note)
    else:
        verdict = keep(node, known, decision, answer, request.remote, moment)

    # Plan: what would change, and whether that has to be confirmed.
    after, desired = verdict.after, verdict.after.applied.desired
    if desired:
        desired = on_this_machine(desired, node)
        after = evolve(after, applied=evolve(after.applied, desired=desired))
    changes = difference(node, desired, before, live) if desired else ()
    step = settle(before, after.applied, differs=touches(changes), confirm=bool(node.confirm.deadline))

    # Try, go back, or apply; each records what it did.
    done = Done()
    if not dry_run and not isinstance(step, Apply):
        from mesh_sync.reconcile.auto_rollback import attempt, go_back  # watches peers, which an idle run does not

        if isinstance(step, Try):
            tried = attempt(node, device, after, live, wait=wait)
        else:
            tried = go_back(node, device, before, live, verdict, wait)
        found = evolve(verdict, after=tried.state, problem=tried.problem)
        return outcome(node, found, tried.done, ask_again=tried.ask_again)
    if isinstance(step, Apply) and step.new:
        after = entered(after, moment.timestamp())
    if not desired:
        _remember(node, before, after, live, dry_run=dry_run)
    elif changes or overlapping(desired) or not is_settled(before, after):
        done = apply(node, device, before, after, wait=wait, dry_run=dry_run)
    return outcome(node, verdict, done)


def _remember(node: Node, before: State, after: State, live: Live | None, *, dry_run: bool) -> None:
    """Nothing was ever applied here, and nothing can be now: what the look found out is kept."""
    if after != before and not dry_run:
        states.save(node.state_file, nothing_applied(after, owned(node, before, live)))
