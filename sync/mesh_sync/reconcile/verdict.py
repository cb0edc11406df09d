"""What became of the remote's head: the state to bring about, and what kept a newer commit from it."""

from __future__ import annotations

from attrs import evolve, frozen

from mesh_sync.errors import Cause, MeshSyncError, Refused, RolledBack
from mesh_sync.findings import Finding
from mesh_sync.node.clock import Clock
from mesh_sync.node.config import Node
from mesh_sync.node.state import State
from mesh_sync.reconcile.decision import Decision, Keep, Reason, Undo
from mesh_sync.reconcile.promise import home, worked_out
from mesh_sync.repository.remote import Head, Remote

RETRY = "push a newer commit, or try this one again: mesh-sync now --retry"
"""What to do about a commit that was rolled back."""


@frozen
class Verdict:
    """``after``: what is to be brought about; ``problem``: why it is not the remote's head, None if it is.

    ``mirrored``: a peer gave it, and no remote has answered.
    """

    after: State
    problem: MeshSyncError | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    mirrored: bool = False


def keep(
    node: Node, known: State, decision: Decision, answer: Head | MeshSyncError, remote: Remote, clock: Clock
) -> Verdict:
    """The verdict when the head does not count now, or is what was confirmed last."""
    kept = decision.kept if isinstance(decision, Undo) else decision
    if not isinstance(kept, Keep):
        return stay(node, known, None, remote, clock)
    bad, refusal = known.remote.bad, known.remote.refusal
    problem: MeshSyncError | None = None
    if kept.reason is Reason.UNREACHABLE and isinstance(answer, MeshSyncError):
        problem = answer
    elif kept.reason is Reason.ROLLED_BACK and bad:
        problem = RolledBack(bad.message, hint=RETRY)
    elif kept.reason is Reason.REFUSED and refusal:
        problem = Refused(refusal.message, findings=refusal.findings, cause=Cause(refusal.cause))
    return stay(node, known, problem, remote, clock)


def stay(node: Node, state: State, problem: MeshSyncError | None, remote: Remote, clock: Clock) -> Verdict:
    """Stay at what was confirmed last, because of ``problem``; only peers that have expired leave it, and those that
    a wrong clock took away come back.
    """
    after = home(state)
    applied, findings = after.applied, problem.findings if isinstance(problem, Refused) else ()
    moment = clock.counts(applied.dated)
    if applied.desired and applied.commit and applied.desired.is_due(moment.at):
        from mesh_sync.reconcile.derive import desired_at  # all that knows a mesh, which an idle run does without

        try:
            desired = desired_at(node, applied.commit, remote.bare.objects, moment.date)
        except MeshSyncError:
            desired = applied.desired.without_expired(moment.at)
        after = worked_out(evolve(after, applied=evolve(applied, desired=desired)), moment)
    return Verdict(after, problem, findings)
