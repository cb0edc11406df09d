"""The steps of `mesh-sync now` after the look: fetch, check, render, plan, apply, record; none when idle."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

from mesh_sync import state as states
from mesh_sync.device import Device
from mesh_sync.enforce import Done, difference, enforce, owned
from mesh_sync.errors import CommandError, MeshSyncError, Refused, Unreachable
from mesh_sync.findings import Finding
from mesh_sync.gateway import with_gateway
from mesh_sync.lock import locked
from mesh_sync.node import Node
from mesh_sync.plan import Change
from mesh_sync.remote import Head, Question, Remote, public
from mesh_sync.state import Refusal, State
from mesh_sync.wanted import Wanted


@frozen
class Outcome:
    """How a run ended. ``problem`` is what kept the newest commit from being applied, if anything did."""

    node: Node
    result: str
    commit: str | None
    remote_commit: str | None
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    problem: MeshSyncError | None = None
    peers: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "node": self.node.name,
            "result": self.result,
            "commit": self.commit,
            "remote_commit": self.remote_commit,
            "changes": [change.as_json() for change in self.changes],
            "findings": [finding.as_json() for finding in self.findings],
            "message": self.message,
        }

    @property
    def exit_code(self) -> int:
        return self.problem.exit_code if self.problem else 0

    @property
    def uneventful(self) -> bool:
        """Whether nothing was to do, and there is nothing to say about it."""
        return not (self.changes or self.notes or self.findings or self.problem)

    @property
    def in_sync(self) -> str:
        """The sentence about an interface that is as it should be."""
        at = f"commit {self.commit[:10]}" if self.commit else "nothing yet"
        return f"{self.node.interface} is in sync with {at} ({self.peers:,} peer{'s' * (self.peers != 1)})"

    @property
    def message(self) -> str:
        """What there is to say beyond the changes, in sentences."""
        return "; ".join(([self.problem.message] if self.problem else []) + list(self.notes))


def follow(node: Node, question: Question, *, dry_run: bool, wait: float, note: Callable[[str], None]) -> Outcome:
    """Make this node match the head that the remote answers with, or else its last applied state.

    The interface is read while the remote thinks; if there is anything to do, it is read again under the lock, for
    mesh-watchdog may have changed it. Raise DeviceError, ConfigError or Locked when not even that could be done.
    """
    before = states.load(node.state_file)
    device = Device(node.interface, node.sysctl_file, note)
    live = device.read(before.wanted)
    remote = question.remote
    aim = _aim(node, before, _answer(question), remote, note)
    if aim.after.wanted is None:
        if aim.after != before and not dry_run:
            states.save(node.state_file, evolve(aim.after, owned=owned(node, before, live)))
        return _outcome(node, aim, Done(()))
    wanted = with_gateway(aim.after.wanted, node)
    with locked(node.lock_file, wait):
        if wanted != before.wanted or difference(node, wanted, before, live):
            live = device.read(wanted)
        done = enforce(node, device, wanted, before, aim.after, live, dry_run=dry_run)
    return _outcome(node, aim, done)


@frozen
class Aim:
    """The state to bring about, and what stands in the way of a newer one."""

    after: State
    problem: MeshSyncError | None = None
    findings: tuple[Finding, ...] = ()


def _answer(question: Question) -> Head | Unreachable:
    try:
        return question.answer()
    except Unreachable as error:
        return error


def _aim(node: Node, before: State, head: Head | Unreachable, remote: Remote, note: Callable[[str], None]) -> Aim:
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


def _outcome(node: Node, aim: Aim, done: Done) -> Outcome:
    problem = aim.problem
    if isinstance(problem, Unreachable):
        result = "unreachable"
    elif problem is not None:
        result = "refused"
    else:
        result = "applied" if done.acted else "in-sync"
    return Outcome(
        node=node,
        result=result,
        commit=aim.after.commit,
        remote_commit=aim.after.remote_commit,
        changes=done.changes,
        notes=done.notes,
        findings=aim.findings,
        problem=problem,
        peers=len(aim.after.wanted.peers) if aim.after.wanted else 0,
    )
