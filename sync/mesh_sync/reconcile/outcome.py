"""How a run of `mesh-sync now` ended: what is printed, its JSON, its exit code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from attrs import evolve, frozen

from mesh_sync.diagnose.trouble import Trouble
from mesh_sync.errors import Cause, MeshSyncError, Refused, RolledBack, Unreachable
from mesh_sync.findings import Finding, printable
from mesh_sync.node.config import Node
from mesh_sync.node.state import State
from mesh_sync.reconcile.verdict import Verdict
from mesh_sync.wireguard.plan import Change

WAITING = "waiting"
"""The result of a run on a machine that no list has had yet."""


@frozen
class Done:
    """What was changed (or, in a dry run, would be), and what could not be done yet."""

    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def acted(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.acted)


@frozen
class Tried:
    """How a trial ended: what was changed, the state from now on, and the reason if it was rolled back.

    ``ask_again``: it may have been what cut this node off from the remotes, and is rolled back.
    """

    done: Done
    state: State
    problem: MeshSyncError | None = None
    ask_again: bool = False


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
    troubles: tuple[Trouble, ...] = ()
    problem: MeshSyncError | None = None
    peers: int = 0
    elsewhere: str = ""
    """The machine that the list has this node on, where that is another one."""
    ask_again: bool = False
    """A trial that may have cut this node off from the remotes was rolled back: they may answer now."""

    def as_json(self) -> dict[str, Any]:
        return {
            "node": self.node.name,
            "result": self.result,
            "commit": self.commit,
            "remote_commit": self.remote_commit,
            "changes": [change.as_json() for change in self.changes],
            "findings": [finding.as_json() for finding in self.findings],
            "troubles": [trouble.as_json() for trouble in self.troubles],
            "message": self.message,
        }

    @property
    def exit_code(self) -> int:
        return self.problem.exit_code if self.problem and not self.waiting else 0

    @property
    def waiting(self) -> bool:
        """Whether this machine was never let into the list: what it waits for is no failure of its own."""
        return self.result == WAITING

    @property
    def cause(self) -> str:
        """Why the newest commit was refused: the value of a `Cause`; empty where it was not."""
        return self.problem.cause.value if isinstance(self.problem, Refused) else ""

    @property
    def uneventful(self) -> bool:
        """Whether nothing was to do, and there is nothing to say about it."""
        return self.waiting or not (self.changes or self.notes or self.findings or self.troubles or self.problem)

    @property
    def in_sync(self) -> str:
        """The sentence about an interface that is as it should be, or has to wait."""
        if self.waiting:
            commit = f"commit {self.remote_commit[:10]}" if self.remote_commit else "the list"
            return f"{self.node.name} waits to be admitted to the mesh: {commit} does not have it yet"
        at = f"commit {self.commit[:10]}" if self.commit else "nothing yet"
        if self.elsewhere:
            where = f"the list has {self.node.name} on the machine {self.elsewhere}"
            return f"{self.node.interface} stands by at {at}: {where}"
        return f"{self.node.interface} is in sync with {at} ({self.peers:,} peer{'s' * (self.peers != 1)})"

    @property
    def message(self) -> str:
        """What there is to say beyond the changes, in sentences."""
        return "; ".join(([self.problem.message] if self.problem else []) + list(self.notes))


def told(node: Node, verdict: Verdict, tried: Tried) -> Outcome:
    """What to tell of a run that ended a trial."""
    found = evolve(verdict, after=tried.state, problem=tried.problem or verdict.problem)
    return evolve(outcome(node, found, tried.done), ask_again=tried.ask_again)


def outcome(node: Node, verdict: Verdict, done: Done) -> Outcome:
    """What to tell of a run that had this to bring about, and did that."""
    problem, state = verdict.problem, verdict.after
    if problem is None:
        result = "applied" if done.acted else "in-sync"
    elif isinstance(problem, Unreachable):
        result = "unreachable"
    elif isinstance(problem, Refused) and problem.cause is Cause.NOT_LISTED and state.last_confirmed.desired is None:
        result = WAITING
    elif isinstance(problem, RolledBack):
        result = "rolled-back"
    else:
        result = "refused" if isinstance(problem, Refused) else "failed"
    desired = state.applied.desired
    return Outcome(
        node=evolve(node, name=state.called(node.name)),
        result=result,
        commit=state.applied.commit,
        remote_commit=state.remote.commit,
        changes=done.changes,
        notes=(*verdict.notes, *_pause(state), *done.notes),
        findings=verdict.findings,
        problem=problem,
        peers=len(desired.peers) if desired else 0,
        elsewhere=desired.machine if desired and desired.is_elsewhere(node.machine) else "",
    )


def _pause(state: State) -> tuple[str, ...]:
    pause = state.intent.pause
    if not pause:
        return ()
    since = f"paused since {datetime.fromtimestamp(pause.since, UTC):%Y-%m-%d %H:%M} UTC"
    why = f" ({printable(pause.reason)})" if pause.reason else ""
    same = state.remote.commit == state.applied.commit
    where = "at the same commit" if same else f"at {(state.remote.commit or 'no commit yet')[:10]}"
    return (f"{since}{why}: the remote is {where}; continue with `mesh-sync resume`",)
