"""Changes of the interface, one at a time: mesh-sync takes the same lock."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from attrs import frozen

from mesh_sync.errors import Locked, MeshSyncError
from mesh_sync.node.config import Node
from mesh_sync.system.lock import locked

LOCK_WAIT = 2.0
"""Seconds; a search cannot wait longer, and the next decision tries again."""

P = ParamSpec("P")


@frozen
class Changed:
    """``done``: what was changed. ``alive``: the keys of peers that were heard in between, and left alone."""

    done: frozenset[str] = frozenset()
    alive: frozenset[str] = frozenset()
    problem: str = ""


def under_lock(change: Callable[Concatenate[Node, P], Changed]) -> Callable[Concatenate[Node, P], Changed]:
    """Make the change while nothing else makes one. What goes wrong is the result's ``problem``."""

    @wraps(change)
    def safely(node: Node, /, *args: P.args, **kwargs: P.kwargs) -> Changed:
        try:
            with locked(node.lock_file, LOCK_WAIT):
                return change(node, *args, **kwargs)
        except Locked:
            return Changed(problem="the interface is being changed by mesh-sync")
        except (MeshSyncError, ValueError) as error:
            return Changed(problem=str(error))

    return safely
