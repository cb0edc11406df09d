"""The machine of a person who pushes may itself be a node of the mesh: then it need not wait for its timer."""

from __future__ import annotations

from pathlib import Path

from mesh_sync.errors import MeshSyncError
from mesh_sync.node import config as nodes
from mesh_sync.node import state as states
from mesh_sync.node.config import DEFAULT_CONFIG, Node
from mesh_sync.workspace.own_git import OwnGit


def node_here(git: OwnGit, commit: str, config: Path = DEFAULT_CONFIG) -> Node | None:
    """The node that this machine is, if what it has applied is part of the history of ``commit``.

    None as well where this person may not read that: only root can apply a list.
    """
    try:
        node = nodes.load(config)
        applied = states.load(node.state_file).applied.commit
    except MeshSyncError:
        return None
    below = applied and git.answers("merge-base", "--is-ancestor", applied, commit) is not None
    return node if below else None
