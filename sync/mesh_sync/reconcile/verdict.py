"""What became of the remote's head: the state to bring about, and what kept a newer commit from it."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve, frozen

from mesh_sync.errors import MeshSyncError, Refused, RolledBack
from mesh_sync.findings import Finding
from mesh_sync.node.config import Node
from mesh_sync.node.state import State
from mesh_sync.reconcile.decision import Decision, Keep, Reason, Undo
from mesh_sync.reconcile.promise import home
from mesh_sync.repository.remote import Head, Remote

RETRY = "push a newer commit, or try this one again: mesh-sync now --retry"
"""What to do about a commit that was rolled back."""


@frozen
class Verdict:
    """``after``: what is to be brought about; ``problem``: why it is not the remote's head, None if it is."""

    after: State
    problem: MeshSyncError | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def keep(
    node: Node, known: State, decision: Decision, answer: Head | MeshSyncError, remote: Remote, moment: datetime
) -> Verdict:
    """The verdict when the head does not count now, or is what was confirmed last."""
    kept = decision.kept if isinstance(decision, Undo) else decision
    if not isinstance(kept, Keep):
        return stay(node, known, None, remote, moment)
    bad, refusal = known.remote.bad, known.remote.refusal
    problem: MeshSyncError | None = None
    if kept.reason is Reason.UNREACHABLE and isinstance(answer, MeshSyncError):
        problem = answer
    elif kept.reason is Reason.ROLLED_BACK and bad:
        problem = RolledBack(bad.message, hint=RETRY)
    elif kept.reason is Reason.REFUSED and refusal:
        problem = Refused(refusal.message, findings=refusal.findings)
    return stay(node, known, problem, remote, moment)


def stay(node: Node, state: State, problem: MeshSyncError | None, remote: Remote, moment: datetime) -> Verdict:
    """Stay at what was confirmed last, because of ``problem``; only a peer that has expired since leaves it."""
    after = home(state)
    applied, findings = after.applied, problem.findings if isinstance(problem, Refused) else ()
    if applied.desired and applied.commit and applied.desired.is_due(moment.timestamp()):
        from mesh_sync.reconcile.derive import desired_at  # all that knows a mesh, which an idle run does without

        try:
            desired = desired_at(node, applied.commit, remote.bare.objects, moment)
        except MeshSyncError:
            desired = applied.desired.without_expired(moment.timestamp())
        after = evolve(after, applied=evolve(applied, desired=desired))
    return Verdict(after, problem, findings)
