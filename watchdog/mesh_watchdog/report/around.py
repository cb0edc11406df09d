"""What keeps the mesh from working on this machine although peers are up: looked at now and then, beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mesh_sync.diagnose.look import troubles
from mesh_sync.errors import MeshSyncError
from mesh_sync.node import clock as clocks
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.wireguard.read import read
from mesh_watchdog.journal import Problems

INTERVAL = 60
"""Seconds between two looks; a run of `mesh-sync now` looks as often."""


class Around:
    """``troubles``: what the last look found, as JSON objects."""

    def __init__(self, node: Node, problems: Problems) -> None:
        self._node = node
        self._problems = problems
        self._task: asyncio.Task[None] | None = None
        self.troubles: list[Mapping[str, Any]] = []

    def look(self) -> None:
        """Begin a look, unless one is under way; it takes what some programs take."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._look())

    async def close(self) -> None:
        if self._task:
            await asyncio.wait([self._task])

    async def _look(self) -> None:
        found: list[Mapping[str, Any]] = []
        with self._problems.survived("looking around"), suppress(MeshSyncError):  # what the readings say, too
            found = await asyncio.to_thread(_found, self._node)
        self.troubles = found


def _found(node: Node) -> list[Mapping[str, Any]]:
    applied = states.load(node.state_file).applied
    live = read(node.interface, node.sysctl_file, applied.desired)
    return [trouble.as_json() for trouble in troubles(node, applied, live, clocks.read(node, applied))]
