"""The heads that the remotes answer with, and what becomes of them: the newest history that this node trusts wins."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from mesh_sync.errors import MeshSyncError
from mesh_sync.node.clock import Clock
from mesh_sync.node.config import Node
from mesh_sync.node.fingerprint import fingerprint
from mesh_sync.node.state import State
from mesh_sync.reconcile.decision import Evaluate, decide
from mesh_sync.reconcile.promise import asked_others, heard
from mesh_sync.reconcile.verdict import Verdict, keep
from mesh_sync.repository.git_command import public
from mesh_sync.repository.remote import Head, HeadRequest, Remote, remotes

OTHERS = 600.0
"""Seconds between two looks at all remotes, while the first that answers has nothing new and nothing wrong."""
Note = Callable[[str], None]


def verdict_on(node: Node, before: State, request: HeadRequest, clock: Clock, *, retry: bool, note: Note) -> Verdict:
    """Wait for the head of the first remote that answers, and say what to do about it. If it is not accepted, and now
    and then anyway, the other remotes are asked as well: one may withhold what another has.
    """
    first, told = request.result(), request.remote.said
    while isinstance(first, Head) and first.url not in node.repository.urls:
        from mesh_sync.reconcile.mirrored import verdict_on_mirrored  # few runs have news

        if mirrored := verdict_on_mirrored(node, before, first, request.remote, clock, note):
            return mirrored
        first = request.again()
    found = _of_remotes(node, before, request, clock, retry=retry, note=note)
    return evolve(found, notes=(*told, *found.notes)) if told else found


def _of_remotes(node: Node, before: State, request: HeadRequest, clock: Clock, *, retry: bool, note: Note) -> Verdict:
    first, stamp = request.result(), clock.wall
    verdict = _consider(node, before, first, request.remote, clock, retry=retry, note=note)
    if not isinstance(first, Head) or not (others := request.remote.urls_after(first)):
        return verdict
    if not (verdict.problem or _is_due(before, stamp)):
        return verdict
    remote = remotes(node)  # with time of its own: the first one may have taken all of it
    for head in remote.heads_of(others, first):
        other = _consider(node, verdict.after, head, remote, clock, retry=retry, note=note)
        verdict = _better(verdict, head, other, stamp)
    return verdict if verdict.problem else evolve(verdict, after=asked_others(verdict.after, stamp))


def _is_due(state: State, stamp: float) -> bool:
    asked = state.remote.others_asked
    return asked is None or not asked <= stamp < asked + OTHERS


def _consider(
    node: Node,
    before: State,
    answer: Head | MeshSyncError,
    remote: Remote,
    clock: Clock,
    *,
    retry: bool,
    note: Note,
) -> Verdict:
    """Decide whether an answer is news, and evaluate it if it is; else what was confirmed last is what is to be."""
    head = answer.commit if isinstance(answer, Head) else None
    known = heard(before, head, clock.wall)
    decision = decide(known, head, fingerprint(node), clock, retry=retry)
    if isinstance(answer, Head) and isinstance(decision, Evaluate):
        from mesh_sync.reconcile.evaluate import evaluate  # all that knows a mesh, which an idle run does without

        return evaluate(node, before, answer, remote, clock, note)
    return keep(node, known, decision, answer, remote, clock)


def _better(best: Verdict, head: Head, verdict: Verdict, stamp: float) -> Verdict:
    """The better of two verdicts, of which the second is about ``head`` and knows what was learnt before."""
    if verdict.problem is None:
        problem = (best.problem.message,) if best.problem else ()
        return evolve(verdict, notes=(*best.notes, *problem, *verdict.notes))
    known = heard(verdict.after, best.after.remote.commit, stamp)
    return evolve(best, after=known, notes=(*best.notes, f"{public(head.url)}: {verdict.problem.message}"))
