"""How a run of `mesh-sync now` ended: what is printed, its JSON, its exit code."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from mesh_sync.errors import MeshSyncError
from mesh_sync.findings import Finding
from mesh_sync.node.config import Node
from mesh_sync.wireguard.plan import Change


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
