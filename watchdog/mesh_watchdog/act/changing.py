"""How every change of the interface is made: under mesh-sync's lock, and never raising."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from mesh_sync.errors import Locked, MeshSyncError
from mesh_sync.node.config import Node
from mesh_sync.system.lock import locked

LOCK_WAIT = 2.0
"""Seconds; a search cannot wait longer, and the next decision tries again."""


@frozen
class Changed:
    """``done``: what was changed. ``alive``: the keys of peers that were heard in between, and left alone."""

    done: frozenset[str] = frozenset()
    alive: frozenset[str] = frozenset()
    problem: str = ""


def under_lock(node: Node, change: Callable[[], Changed]) -> Changed:
    """Make a change while nothing else makes one. Never raises: what went wrong is the result's ``problem``."""
    try:
        with locked(node.lock_file, LOCK_WAIT):
            return change()
    except Locked:
        return Changed(problem="the interface is being changed by mesh-sync")
    except (MeshSyncError, ValueError) as error:
        return Changed(problem=str(error))
