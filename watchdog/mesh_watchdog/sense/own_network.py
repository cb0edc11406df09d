"""Watches this machine's own addresses, links and routes, and reports when they have changed (rule R5)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from mesh_sync.errors import CommandError
from mesh_watchdog.policy.events import Surroundings
from mesh_watchdog.report.journal import Problems
from mesh_watchdog.sense import own_addresses, route_events
from mesh_watchdog.sense.own_addresses import Place

DEBOUNCE = 0.3
"""Seconds from the first message to the look: moving to another address takes several messages."""


class Network:
    """``moved`` is called with every place that differs from the last, ``stirred`` at every message of interest."""

    def __init__(
        self, interface: str, moved: Callable[[Place], None], stirred: Callable[[], None], problems: Problems
    ) -> None:
        self._interface = interface
        self._moved = moved
        self._stirred = stirred
        self._problems = problems
        self._listener: socket.socket | None = None
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.place = Place(Surroundings(frozenset(), frozenset()))

    async def start(self) -> None:
        """Listen first, then look, so that nothing falls in between. Does not call ``moved``."""
        try:
            self._listener = route_events.listening()
            asyncio.get_running_loop().add_reader(self._listener, self._on_message)
        except OSError as error:
            self._problems.set("netlink", f"changes of the network are seen late: {error.strerror}")
        await self.look(quietly=True)
        self._task = asyncio.create_task(self._watch())

    def close(self) -> None:
        if self._task:
            self._task.cancel()
        if self._listener:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()

    async def look(self, *, quietly: bool = False) -> None:
        """Look now, and report a change. When `ip` fails, things are as they were."""
        try:
            before = self.place
            self.place = await asyncio.to_thread(own_addresses.read, self._interface, had_default=before.default)
        except (CommandError, ValueError, KeyError) as error:
            self._problems.set("ip", f"the network cannot be looked at: {error}")
            return
        self._problems.set("ip", "")
        if self.place != before and not quietly:
            self._moved(self.place)

    def _on_message(self) -> None:
        assert self._listener is not None
        if route_events.drain(self._listener):
            self._stirred()
            self._due.set()

    async def _watch(self) -> None:
        while True:
            await self._due.wait()
            await asyncio.sleep(DEBOUNCE)
            self._due.clear()
            await self.look()
