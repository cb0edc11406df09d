"""`mesh-sync now`: the main job, and a cheap one when idle. Here it locks and looks; `follow` does the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mesh_sync.lock import WAIT, locked
from mesh_sync.node import Node
from mesh_sync.remote import Remote, asked

if TYPE_CHECKING:
    from mesh_sync.outcome import Outcome


def now(
    node: Node, *, dry_run: bool = False, wait: float = WAIT, note: Callable[[str], None] = lambda text: None
) -> Outcome:
    """Make this node match the head of its mesh repository, or else its last applied state.

    Raise DeviceError, ConfigError or Locked when not even that could be done.
    """
    remote = Remote(node.repository, node.bare_repository, whole=node.trust.mode == "signed")
    with locked(node.run_lock_file, wait), asked(remote) as question:
        from mesh_sync.follow import follow  # imported while the remote thinks: it takes as long as that

        return follow(node, question, dry_run=dry_run, wait=wait, note=note)
