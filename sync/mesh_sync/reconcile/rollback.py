"""`mesh-sync rollback`, `pause` and `resume`: this node does not follow the list for a while. Needs no network."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime

from mesh_sync.errors import CommandError, ConfigError, DeviceError, Unreachable
from mesh_sync.findings import some
from mesh_sync.node import clock as clocks
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.desired import on_this_machine
from mesh_sync.node.fingerprint import fingerprint
from mesh_sync.node.history import History, earlier
from mesh_sync.node.run_lock import locked_run
from mesh_sync.node.state import Applied, Intent, Pause, State
from mesh_sync.reconcile.apply import apply, device_of
from mesh_sync.reconcile.auto_rollback import attempt
from mesh_sync.reconcile.covering import with_covering
from mesh_sync.reconcile.decision import is_new
from mesh_sync.reconcile.derive import desired_at
from mesh_sync.reconcile.outcome import Outcome, outcome, told
from mesh_sync.reconcile.promise import entered, paused, went_back, worked_out
from mesh_sync.reconcile.verdict import Verdict
from mesh_sync.repository.remote import remotes
from mesh_sync.system.lock import WAIT
from mesh_sync.wireguard.desired import Desired

SHORTEST = 7
"""Digits of a commit that say which one is meant."""
_DIGITS = re.compile(rf"[0-9a-f]{{{SHORTEST},64}}")
ASKING = 5.0
"""Seconds for the remotes to show that they answer now: only then must they do so after going back, too."""


def rollback(node: Node, commit: str | None, *, wait: float = WAIT, note: Callable[[str], None]) -> Outcome:
    """Go back to an earlier applied state and stay there: the one before, or ``commit`` (7 digits are enough).

    Called again, it goes back one state further. Raise ConfigError for one that is not in the history, Refused when it
    cannot be this node's state any more.
    """
    with locked_run(node, wait):
        before = states.load(node.state_file)
        device = device_of(node, note)
        clock = clocks.read(node, before.last_confirmed, keep=True)
        moment = clock.counts(before.last_confirmed.dated)
        chosen = choose(before, commit)
        derived = with_covering(node, _derive(node, chosen, moment.date), before.applied.desired, device.read(None))
        desired = on_this_machine(derived, node)
        why = f"rolled back from {(before.applied.commit or 'nothing')[:10]}"
        again = peers_again(before.applied, desired)
        target = went_back(before, chosen, fingerprint(node), desired, Pause(clock.wall, why))
        target = worked_out(target, moment)
        if node.confirm.deadline and is_new(before.last_confirmed, target.applied):
            tried = attempt(node, device, target, wait=wait, took=_took(node), blame=False)
            return told(node, Verdict(target, notes=() if tried.problem else again), tried)
        target = entered(target, clock.wall)
        done = apply(node, device, before, target, wait=wait, undo=before.trial)
        return outcome(node, Verdict(target, notes=again), done)


def peers_again(before: Applied, desired: Desired) -> tuple[str, ...]:
    """A sentence about the peers that going back from ``before`` brings back, if there are any.

    They may have been removed because a machine was stolen.
    """
    known = {key for peer in before.desired.peers for key in peer.keys} if before.desired else set()
    if not (names := sorted(peer.name for peer in desired.peers if peer.public_key not in known)):
        return ()
    whose = f"with keys that {(before.commit or 'the state before')[:10]} did not have: {some(names)}"
    return (f"peers again, {whose}; until `mesh-sync resume` these keys count here, also where they were stolen",)


def choose(state: State, commit: str | None) -> str:
    """The commit that is meant. Raise ConfigError when there is none, or more than one."""
    if commit is None:
        tried = state.last_confirmed.commit if state.trial else None
        if before := tried or earlier(state.history, state.applied.commit):
            return before
        raise ConfigError("there is no earlier applied state to go back to", hint="mesh-sync status lists them")
    if not _DIGITS.fullmatch(commit):
        raise ConfigError(
            f"{commit!r} is not a commit: at least {SHORTEST} digits of its hash", hint=_known(state.history)
        )
    found = {past.commit for past in state.history if past.commit.startswith(commit)}
    if len(found) != 1:
        what = "is not among the applied states" if not found else "is the beginning of more than one applied state"
        raise ConfigError(f"{commit} {what} of this node", hint=_known(state.history))
    return found.pop()


def pause(node: Node, reason: str) -> Pause:
    """Stay at the applied commit until told to go on. Told twice, the first moment counts."""
    with locked_run(node):
        state = states.load(node.state_file)
        present = state.intent.pause
        asked = Pause(present.since if present else time.time(), reason)
        if asked != present:
            states.save(node.state_file, paused(state, Intent(asked)))
        return asked


def resume(node: Node) -> bool:
    """Let the next run go to the head again; return whether it was paused."""
    with locked_run(node):
        state = states.load(node.state_file)
        if state.intent.pause:
            states.save(node.state_file, paused(state, Intent()))
        return state.intent.pause is not None


def _derive(node: Node, commit: str, moment: datetime) -> Desired:
    try:
        return desired_at(node, commit, remotes(node).bare.objects, moment)
    except CommandError:
        raise DeviceError(
            f"commit {commit[:10]} cannot be read from {node.bare_repository}",
            hint="if that copy is damaged, move it away; `mesh-sync now` makes a new one",
        ) from None


def _took(node: Node) -> float | None:
    """Seconds after which a remote answers; None when none does."""
    began = time.monotonic()
    try:
        remotes(node, ASKING).head()
    except Unreachable:
        return None
    return time.monotonic() - began


def _known(history: History) -> str:
    return "applied were: " + (", ".join(dict.fromkeys(past.commit[:10] for past in reversed(history))) or "none")
