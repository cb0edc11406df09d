"""The lock of the one run of mesh-sync that may go on, held from its first look at the state to its last write."""

from __future__ import annotations

from contextlib import AbstractContextManager

from mesh_sync.node.config import Node
from mesh_sync.system.lock import WAIT, locked


def locked_run(node: Node, wait: float = WAIT) -> AbstractContextManager[None]:
    """Hold the lock of the run. A run that holds it for long may be watching a commit on trial."""
    return locked(node.run_lock_file, wait, lambda: _on_trial(node))


def _on_trial(node: Node) -> str:
    from mesh_sync.node import state as states  # an idle run asks the remote before it imports what it remembers

    trial = states.load(node.state_file).trial
    if not trial or not trial.commit:
        return ""
    return f": commit {trial.commit[:10]} is on trial, for {node.confirm.deadline:g} s or a little more"
