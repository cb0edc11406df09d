"""`mesh-sync now`: the main job, and a cheap one when idle. Here it locks and looks; `follow` does the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mesh_sync.node.config import Node
from mesh_sync.node.run_lock import locked_run
from mesh_sync.repository.head_request import asked, remotes
from mesh_sync.system.lock import WAIT

if TYPE_CHECKING:
    from mesh_sync.reconcile.outcome import Outcome


def now(
    node: Node,
    *,
    dry_run: bool = False,
    retry: bool = False,
    wait: float = WAIT,
    note: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Make this node match the head of its mesh repository, or else its last applied state.

    ``retry``: even if that head was refused or undone before.

    Raise DeviceError, ConfigError or Locked when not even that could be done.
    """
    with locked_run(node, wait), asked(remotes(node)) as question:
        from mesh_sync.reconcile.pipeline import follow  # imported while the remote thinks: it takes as long as that

        return follow(node, question, dry_run=dry_run, retry=retry, wait=wait, note=note)
