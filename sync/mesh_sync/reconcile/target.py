"""What this node should be now: the head of its mesh repository if that is accepted, else what it was last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from mesh_sync.errors import CommandError, MeshSyncError, Refused, RolledBack, Unreachable
from mesh_sync.findings import Finding
from mesh_sync.node.config import Node
from mesh_sync.node.fingerprint import fingerprint
from mesh_sync.node.state import RETRY, Refusal, State
from mesh_sync.repository.git_words import public, raise_if_local
from mesh_sync.repository.head_request import Question
from mesh_sync.repository.remote import Head, Remote

if TYPE_CHECKING:
    from mesh_sync.reconcile.evaluate import Candidate

Note = Callable[[str], None]


@frozen
class Aim:
    """The state to bring about, and what stands in the way of a newer one."""

    after: State
    problem: MeshSyncError | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def aim(node: Node, before: State, question: Question, note: Note) -> Aim:
    """Given what was remembered and what the remote was asked, return what to bring about. Fetches when it has to."""
    head, remote = _answer(question), question.remote
    silent = evolve(before, silent_since=before.silent_since or time.time()) if before.desired else before
    if isinstance(head, Unreachable):
        return _stay(node, silent, head, remote)
    known = evolve(before, remote_commit=head.commit, silent_since=None)
    if before.paused:
        return _stay(node, known, None, remote)
    same = before.settings == fingerprint(node) and before.desired and not before.desired.is_due(time.time())
    if same and head.commit == before.commit:
        return Aim(evolve(known, refusal=None))
    bad, refusal = before.bad, before.refusal
    if bad and (bad.commit, bad.settings) == (head.commit, fingerprint(node)):
        return _stay(node, known, RolledBack(bad.message, hint=RETRY), remote)
    if refusal and (refusal.commit, refusal.settings, refusal.trusted) == (
        head.commit,
        fingerprint(node),
        before.trusted,
    ):
        return _stay(node, known, Refused(refusal.message, findings=refusal.findings), remote)
    commit = head.commit
    try:
        commit, found = _look(node, known, head, remote, note)
        known = evolve(found.known, remote_commit=commit)
        if isinstance(found.result, Refused):
            raise found.result
    except Unreachable as error:
        return _stay(node, silent, error, remote)
    except Refused as error:
        note(f"refused {commit[:10]}")
        settings = fingerprint(node) if error.lasting else ""
        refusal = Refusal(commit, error.message, error.findings, settings, before.trusted)
        return _stay(node, evolve(known, refusal=refusal), error, remote)
    after = evolve(known, commit=commit, remote_commit=commit, settings=fingerprint(node), desired=found.result)
    return Aim(evolve(after, refusal=None, bad=None), findings=found.findings, notes=found.notes)


def _answer(question: Question) -> Head | Unreachable:
    try:
        return question.answer()
    except Unreachable as error:
        return error


def _stay(node: Node, before: State, problem: MeshSyncError | None, remote: Remote) -> Aim:
    """Keep the last applied commit; only a peer that has expired since leaves it."""
    findings = problem.findings if isinstance(problem, Refused) else ()
    if before.desired and before.commit and before.desired.is_due(time.time()):
        from mesh_sync.reconcile.evaluate import accept

        try:
            desired, _ = accept(remote.bare.tree(before.commit), node, before.commit)
            return Aim(evolve(before, desired=desired), problem, findings)
        except (CommandError, Refused, Unreachable):
            return Aim(before, problem, findings)
    return Aim(before, problem, findings)


def _look(node: Node, known: State, head: Head, remote: Remote, note: Note) -> tuple[str, Candidate]:
    """Bring the head's commit and look at it, twice if the bare copy is damaged: it is only a copy."""
    from mesh_sync.reconcile.evaluate import look

    for fresh in (False, True):
        try:
            commit = _bring(head, known, remote, note)
            return commit, look(node, known, commit, remote, note, fresh=fresh)
        except CommandError as error:
            raise_if_local(error)
            if fresh:
                raise Unreachable(f"commit {head.commit[:10]} cannot be read: {error.message}") from None
            remote.bare.discard()
    raise AssertionError("the second look returns or raises")


def _bring(head: Head, known: State, remote: Remote, note: Note) -> str:
    """Have the head's commit in the bare copy; if the branch moved on meanwhile, the commit it moved to.

    What is returned is what is verified and what is read: no name is looked up a second time.
    """
    if remote.bare.has(head.commit) and remote.bare.is_whole():
        return head.commit
    note(f"git fetch {public(head.url)}")
    remote.bare.keep(applied=known.commit, trusted=known.trusted)
    return remote.fetch(head.url)
