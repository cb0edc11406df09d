"""What a run of `mesh-sync now` does next, from what this node remembers and what the remote answered. Pure.

`decide` comes before the head is looked at, `settle` after it:

    decide ─┬─ InSync        the head is what was confirmed last: enforce that
            ├─ Keep(reason)  the head does not count now: enforce what was confirmed last
            ├─ Undo(trial)   the same, after the way back from a trial that a run left open
            └─ Evaluate(commit)
    settle ─── Way: apply, try, or go back
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from mesh_sync.node.state import Applied, State, Trial


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


def decide(state: State, head: str | None, fingerprint: str, moment: float, *, retry: bool = False) -> Decision:
    """Given the head that a remote answered with (None: none answered), return what to do about it.

    ``fingerprint``: the node's, now; ``moment`` in Unix seconds; ``retry``: try a commit again that was refused or
    rolled back.
    """
    found = _about(state, head, fingerprint, moment, retry=retry)
    if state.trial and not isinstance(found, Evaluate):
        return Undo(state.trial, found)
    return found


def _about(state: State, head: str | None, fingerprint: str, moment: float, *, retry: bool) -> InSync | Keep | Evaluate:
    home, bad, refusal = state.last_confirmed, state.remote.bad, state.remote.refusal_of(head)
    if head is None:
        return Keep(Reason.UNREACHABLE)
    if state.confirmed_intent.pause:
        return Keep(Reason.PAUSED)
    same = (head, fingerprint) == (home.commit, home.fingerprint)
    if same and home.desired and not home.desired.is_due(moment):
        return InSync()
    if retry:
        return Evaluate(head)
    if bad and (bad.commit, bad.fingerprint) == (head, fingerprint) and (bad.until is None or moment < bad.until):
        return Keep(Reason.ROLLED_BACK)
    trusted = state.remote.trusted and state.remote.trusted.commit
    if refusal and (refusal.fingerprint, refusal.trusted) == (fingerprint, trusted):
        return Keep(Reason.REFUSED)
    return Evaluate(head)


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
