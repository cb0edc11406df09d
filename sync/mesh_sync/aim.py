"""What this node should be now: the head of its mesh repository if that is accepted, else what it was last."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import evolve, frozen

from mesh_sync.errors import CommandError, MeshSyncError, Refused, Unreachable
from mesh_sync.findings import Finding
from mesh_sync.node import Node
from mesh_sync.remote import Head, Question, Remote, public
from mesh_sync.state import Refusal, State
from mesh_sync.wanted import Wanted


@frozen
class Aim:
    """The state to bring about, and what stands in the way of a newer one."""

    after: State
    problem: MeshSyncError | None = None
    findings: tuple[Finding, ...] = ()


def aim(node: Node, before: State, question: Question, note: Callable[[str], None]) -> Aim:
    """Given what was remembered and what the remote was asked, return what to bring about. Fetches when it has to."""
    head, remote = _answer(question), question.remote
    silent = evolve(before, silent_since=before.silent_since or time.time()) if before.wanted else before
    if isinstance(head, Unreachable):
        return _stay(node, silent, head, remote)
    before_looking = evolve(before, remote_commit=head.commit, silent_since=None)
    same = before.settings == node.settings and before.wanted and not before.wanted.is_due(time.time())
    if same and head.commit == before.commit:
        return Aim(evolve(before_looking, refusal=None))
    refusal = before.refusal
    if refusal and (refusal.commit, refusal.settings) == (head.commit, node.settings):
        return _stay(node, before_looking, Refused(refusal.message, findings=refusal.findings), remote)
    try:
        commit = _bring(head, remote, note)
        wanted, findings = _read(node, commit, head, remote)
    except Unreachable as error:
        return _stay(node, silent, error, remote)
    except Refused as error:
        note(f"refused {head.commit[:10]}")
        refusal = Refusal(head.commit, error.message, error.findings, node.settings)
        return _stay(node, evolve(before_looking, refusal=refusal), error, remote)
    after = evolve(before_looking, commit=commit, remote_commit=commit, settings=node.settings, wanted=wanted)
    return Aim(evolve(after, refusal=None), findings=findings)


def _answer(question: Question) -> Head | Unreachable:
    try:
        return question.answer()
    except Unreachable as error:
        return error


def _stay(node: Node, before: State, problem: MeshSyncError, remote: Remote) -> Aim:
    """Keep the last applied commit; only a peer that has expired since leaves it."""
    findings = problem.findings if isinstance(problem, Refused) else ()
    if before.wanted and before.commit and before.wanted.is_due(time.time()):
        from mesh_sync.accept import accept

        try:
            wanted, _ = accept(remote.tree(before.commit), node, before.commit)
            return Aim(evolve(before, wanted=wanted), problem, findings)
        except (CommandError, Refused):
            return Aim(before, problem, findings)
    return Aim(before, problem, findings)


def _bring(head: Head, remote: Remote, note: Callable[[str], None]) -> str:
    """Have the head's commit in the bare copy; if the branch moved on meanwhile, the commit it moved to."""
    if remote.has(head.commit):
        return head.commit
    note(f"git fetch {public(head.url)}")
    return remote.fetch(head.url)


def _read(node: Node, commit: str, head: Head, remote: Remote) -> tuple[Wanted, tuple[Finding, ...]]:
    from mesh_sync.accept import accept

    try:
        tree = remote.tree(commit)
    except CommandError:  # the bare copy is damaged, perhaps by a power cut: it is only a copy
        remote.discard()
        commit = remote.fetch(head.url)
        tree = remote.tree(commit)
    return accept(tree, node, commit)
