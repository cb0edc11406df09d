"""A commit that a peer offers as a mirror: taken if this node trusts it, else as if the peer had not been there.

A refusal is not remembered, and nothing goes back: what the remotes have is looked at in the same way, before and
after. For a minute at most, commits come from mirrors alone; then the remotes are asked, whatever peers tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import evolve

from mesh_sync.errors import Unreachable
from mesh_sync.node.clock import Clock
from mesh_sync.node.config import Node
from mesh_sync.node.fingerprint import fingerprint
from mesh_sync.node.state import State
from mesh_sync.reconcile.decision import Evaluate, decide
from mesh_sync.reconcile.drift import touches
from mesh_sync.reconcile.evaluate import evaluate
from mesh_sync.reconcile.verdict import Verdict
from mesh_sync.repository.mirrors import Mirrors
from mesh_sync.repository.remote import Head, HeadRequest, Remote, remotes
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.plan import Change

ANSWER = 3.0
"""Seconds in which a remote answers before a change that could cut this node off from it."""
HARMLESS = frozenset({"peer-added", "peer-removed", "endpoint", "endpoint-removed", "keepalive", "preshared-key"})
"""Kinds of changes that leave the ways of all packets as they are that do not go to these peers."""


def verdict_on_mirrored(
    node: Node, before: State, head: Head, remote: Remote, clock: Clock, note: Callable[[str], None]
) -> Verdict | None:
    """The verdict on what a mirror gave; None where this is nothing that this node takes."""
    assert isinstance(remote, Mirrors)
    teller = remote.teller(head)
    assert teller
    kept = {"applied": before.applied.commit, "verified": before.remote.verified}
    anchors = {"trusted": before.remote.trusted, "anchor": before.applied.anchor}
    if not remote.bare.is_tidy():
        remote.bare.keep(**kept, **{name: anchor.commit for name, anchor in anchors.items() if anchor})
        if not remote.bare.tidy(node.repository.deadline):
            return None
    if not isinstance(decide(before, head.commit, fingerprint(node), clock), Evaluate):
        return None
    verdict = evaluate(node, before, head, remote, clock, note)
    if why := _why_not(before, head, verdict):
        remote.said.append(f"{teller.name} ({teller.url}) has a commit that is not taken: {why}")
        return None
    since = before.remote.mirrored_since or clock.wall
    learnt = evolve(verdict.after.remote, silent_since=before.remote.silent_since, mirrored_since=since)
    told = f"commit {head.commit[:10]} came from {teller.name} ({teller.url})"
    return evolve(verdict, after=evolve(verdict.after, remote=learnt), notes=(*verdict.notes, told), mirrored=True)


def _why_not(before: State, head: Head, verdict: Verdict) -> str:
    """Why what a mirror gave is not taken, as the end of a sentence; empty if it is.

    What nodes alone have signed would keep what others of them sign from this node until an admin's next commit: a node
    that may not push could give everybody another branch. So a remote has to have it, while one answers.
    """
    held, trusted = verdict.after.remote.held, verdict.after.remote.trusted
    if verdict.problem:
        return verdict.problem.message
    if head.commit not in (verdict.after.applied.commit, held and held.commit):  # held: accepted, and others go first
        return "it is not what is to be applied"
    is_admins = trusted is not None and trusted.commit == head.commit
    return "" if is_admins or before.remote.silent_since is not None else "no admin has signed it"


def answering(node: Node, before: Desired | None, after: Desired | None, changes: Iterable[Change]) -> float | None:
    """Seconds after which a remote answers; None where none does, or where the changes cannot cut this node off.

    A mirror says nothing about the way to the remotes. Only where it may change is there anything to confirm, and only
    a remote that answers before can be missed after.
    """
    exits = any(desired and (desired.exit_routes or desired.fwmark) for desired in (before, after))
    if not exits and not touches(change for change in changes if change.kind not in HARMLESS):
        return None
    request = HeadRequest(remotes(node, ANSWER))
    request.run()
    return None if isinstance(request.so_far, Unreachable) else request.took
