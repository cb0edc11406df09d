"""One run of `mesh-sync now`: locked, and the remote is asked before anything else is even imported."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mesh_sync.errors import MeshSyncError
from mesh_sync.node import last_run
from mesh_sync.node.config import Node
from mesh_sync.node.run_lock import locked_run
from mesh_sync.repository.remote import Remote, asked, remotes
from mesh_sync.system.lock import WAIT

if TYPE_CHECKING:
    from mesh_sync.reconcile.outcome import Outcome


FRESH = 30.0
"""Seconds for which it is news that a peer has told of a commit. Later, the remotes alone are asked, as always."""


def run_now(
    node: Node,
    *,
    dry_run: bool = False,
    retry: bool = False,
    wait: float = WAIT,
    note: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Make this node match the head of its mesh repository, or else what was confirmed last.

    ``retry``: even if that head was refused or rolled back before. Raise DeviceError, ConfigError or Locked when not
    even that could be done.
    """

    def once(remote: Remote) -> Outcome:
        with asked(remote) as request:
            from mesh_sync.reconcile.now import now  # while the remote thinks: it takes as long as that

            return now(node, request, dry_run=dry_run, retry=retry, wait=wait, note=note)

    with locked_run(node, wait):
        if node.past_exit_file.exists():
            from mesh_sync.reconcile.past_exit import close  # only after a run that was killed

            close(node)
        try:
            found = once(_remote(node) if not (dry_run or retry) else remotes(node))
            found = once(remotes(node)) if found.ask_again else found
        except MeshSyncError:
            if not dry_run:
                last_run.record(node, last_run.FAILED)
            raise
        if not dry_run:
            last_run.record(node, found.result, found.cause)
        return found


def _remote(node: Node) -> Remote:
    try:
        age = time.time() - node.news_file.stat().st_mtime
    except OSError:
        return remotes(node)
    if not -1 < age < FRESH:
        return remotes(node)
    from mesh_sync.repository.mirrors import mirrors  # few runs have news

    return mirrors(node)
