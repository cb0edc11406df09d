"""What a run of `mesh-sync now` does next, from what this node remembers and what the remote answered. Pure.

`decide` comes before the head is looked at, `wait` and `settle` after it:

    decide ─┬─ InSync        the head is what was confirmed last: enforce that
            ├─ Keep(reason)  the head does not count now: enforce what was confirmed last
            ├─ Undo(trial)   the same, after the way back from a trial that a run left open
            └─ Evaluate(commit)
    wait ───── Held, or None: whether a commit that was accepted waits for the canaries
    settle ─── Way: apply, try, or go back
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from mesh_sync.node.clock import Clock
from mesh_sync.node.state import Applied, BadCommit, Held, Refusal, State, Trial

REFUSED_FOR = 86400.0
"""Seconds for which a refusal stands: the node's clock may have been wrong."""
LONGEST_REST = 3600.0
"""Seconds for which a commit that may not be at fault is at most not tried again."""


WAITS = 5
"""So many times as long as one commit waits for the canaries, all wait that come one after the other."""
BETWEEN_RUNS = 120.0
"""Seconds after which the next run has surely looked."""


class Reason(Enum):
    """Why the head of the remote does not count now."""

    UNREACHABLE = "no remote answered"
    PAUSED = "this node is paused"
    ROLLED_BACK = "the head was rolled back before"
    REFUSED = "the head was refused before"


@frozen
class InSync:
    """The head is the commit that was confirmed last."""


@frozen
class Keep:
    """Stay at the commit that was confirmed last."""

    reason: Reason


@frozen
class Evaluate:
    """Look at this commit: fetch, verify, check, render."""

    commit: str


@frozen
class Undo:
    """Go back from a trial that a run left open; then it is as ``kept`` says."""

    trial: Trial
    kept: InSync | Keep = InSync()


Decision = InSync | Keep | Undo | Evaluate


class Way(Enum):
    """How the state that was evaluated, or kept, is brought about."""

    APPLY = "at once: nothing new for this node"
    APPLY_UNCONFIRMED = "at once: new, and there is nothing to confirm"
    TRY = "on trial: rolled back unless it is confirmed"
    GO_BACK = "by the way back of the trial that a run left open"


def decide(state: State, head: str | None, fingerprint: str, clock: Clock, *, retry: bool = False) -> Decision:
    """Given the head that a remote answered with (None: none answered), return what to do about it.

    ``fingerprint``: the node's, now; ``retry``: try a commit again that was refused or rolled back. Whatever the clock
    was before, a clock that is right has all looked at again that the time decides.
    """
    found = _about(state, head, fingerprint, clock, retry=retry)
    if state.trial and not isinstance(found, Evaluate):
        return Undo(state.trial, found)
    return found


def _about(state: State, head: str | None, fingerprint: str, clock: Clock, *, retry: bool) -> InSync | Keep | Evaluate:
    home, bad, refusal = state.last_confirmed, state.remote.bad, state.remote.refusal_of(head)
    if head is None:
        return Keep(Reason.UNREACHABLE)
    if state.confirmed_intent.pause:
        return Keep(Reason.PAUSED)
    same = (head, fingerprint) == (home.commit, home.fingerprint)
    if same and home.desired and not home.desired.is_due(clock.counts(home.dated).at):
        return InSync()
    if retry:
        return Evaluate(head)
    if bad and (bad.commit, bad.fingerprint) == (head, fingerprint) and rests(bad, clock.wall):
        return Keep(Reason.ROLLED_BACK)
    trusted = state.remote.trusted and state.remote.trusted.commit
    if bad and bad.commit == trusted and not rests(bad, clock.wall):  # it is below the head, and its time has come
        return Evaluate(head)
    if refusal and (refusal.fingerprint, refusal.trusted) == (fingerprint, trusted) and _stands(refusal, clock, home):
        return Keep(Reason.REFUSED)
    return Evaluate(head)


def rests(bad: BadCommit, moment: float) -> bool:
    """Whether a commit that was rolled back is left alone at ``moment`` (Unix seconds)."""
    return bad.until is None or bad.until - LONGEST_REST <= moment < bad.until


def _stands(refusal: Refusal, clock: Clock, home: Applied) -> bool:
    return refusal.at is not None and refusal.at <= clock.latest(home.dated).at < refusal.at + REFUSED_FOR


def wait(before: Held | None, commit: str, seconds: float, moment: float) -> Held | None:
    """A commit was accepted that the canaries have not confirmed: return how it waits at ``moment`` (Unix seconds), and
    None once that is enough.

    ``before``: what waited when this node last looked. Each commit waits for ``seconds`` from when it was first seen;
    one that comes while another waits has not more time than is left of `WAITS` times as much, so that a branch which
    never rests keeps no node from following it. What a clock that was wrong has remembered does not count.
    """
    if before and not before.began <= before.since <= moment:
        before = None
    since = before.since if before and before.commit == commit else moment
    follows = before is not None and moment - before.since <= seconds + BETWEEN_RUNS
    began = before.began if before and follows else since
    over = moment - since >= seconds or moment - began >= WAITS * seconds
    return None if over else Held(commit, since, began)


def settle(state: State, target: Applied, *, differs: bool, confirm: bool) -> Way:
    """Given what is to be brought about, return how.

    ``differs``: whether anything on the interface would change; ``confirm``: whether new commits have to be confirmed.
    """
    if not is_new(state.last_confirmed, target):
        return Way.GO_BACK if state.trial else Way.APPLY
    return Way.TRY if confirm and (state.trial or differs) else Way.APPLY_UNCONFIRMED


def is_new(before: Applied, target: Applied) -> bool:
    """Whether this is another state of the list, and not the confirmed one enforced, or a peer that expired."""
    other = (before.commit, before.fingerprint) != (target.commit, target.fingerprint)
    return other and before.desired != target.desired
