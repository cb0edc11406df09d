"""What the watchdog learns by: the one shape of all senses."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from mesh_watchdog.journal import log
from mesh_watchdog.policy.observations import Observation

Inbox = asyncio.Queue[Observation | None]
"""Where observations go, for the daemon to take in. None: something happened, look at everything soon."""


class Sense:
    """Puts into ``inbox`` what it observes, whenever it does; `daemon.Daemon` has the list of all senses."""

    inbox: Inbox

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, inbox: Inbox) -> None:
        """Begin to listen, and put what there is already. What cannot be listened to is a problem, not an error."""
        self.inbox = inbox

    async def look(self) -> None:
        """Look now: every few seconds, or sooner when something happens. To be quick about it, for others wait."""

    async def stop(self) -> None:
        """Let go of everything."""
        for task in self._tasks:
            task.cancel()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do this in the background, until it is done or the sense is stopped."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s failed", type(self).__name__, exc_info=error)
