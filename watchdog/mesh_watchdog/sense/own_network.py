"""This machine's own addresses, links and routes: what they are now, whenever they change (rule R5)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from attrs import evolve

from mesh_sync.errors import CommandError
from mesh_watchdog import clock
from mesh_watchdog.journal import Problems, log
from mesh_watchdog.policy.events import Surroundings
from mesh_watchdog.sense import own_addresses, route_events
from mesh_watchdog.sense.own_addresses import OwnAddresses
from mesh_watchdog.sense.sense import Inbox, Sense

DEBOUNCE = 0.3
"""Seconds from the first message to the reading: moving to another address takes several messages."""
INTERVAL = 60.0
"""Seconds between readings that no message asked for, in case one was lost."""
ATTEMPTS = 10
"""How often ``forget_source`` is tried before it is left at that."""


class OwnNetwork(Sense):
    """Observes the surroundings when they have changed, and after the machine slept.

    ``forget_source`` is called before: it makes WireGuard send from where we are now, or returns why it cannot yet.
    """

    def __init__(self, interface: str, problems: Problems, forget_source: Callable[[], str]) -> None:
        super().__init__()
        self._interface = interface
        self._problems = problems
        self._forget_source = forget_source
        self._listener: socket.socket | None = None
        self._due = asyncio.Event()
        self._sleep = clock.Sleep()
        self._own = OwnAddresses(Surroundings(frozenset(), frozenset()))

    async def start(self, inbox: Inbox) -> None:
        """Listen first, then look, so that nothing falls in between."""
        await super().start(inbox)
        try:
            self._listener = route_events.listening()
            asyncio.get_running_loop().add_reader(self._listener, self._on_message)
        except OSError as error:
            self._problems.set("netlink", f"changes of the network are seen late: {error.strerror}")
        await self._read()
        inbox.put_nowait(evolve(self._own.surroundings, moved=False))
        self.spawn(self._watch())

    async def look(self) -> None:
        if self._sleep.is_over():
            log.info("this machine was asleep")
            self.spawn(self._tell())
            self._due.set()

    async def stop(self) -> None:
        await super().stop()
        if self._listener:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()

    def _on_message(self) -> None:
        assert self._listener is not None
        if route_events.drain(self._listener):
            self.inbox.put_nowait(None)
            self._due.set()

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), INTERVAL)
            await asyncio.sleep(DEBOUNCE)
            self._due.clear()
            if await self._read():
                log.info("this machine's addresses or routes have changed: telling all peers")
                self.spawn(self._tell())

    async def _read(self) -> bool:
        """Return whether there is a change. When `ip` fails, things are as they were."""
        before = self._own
        try:
            self._own = await asyncio.to_thread(own_addresses.read, self._interface, had_default=before.default)
        except (CommandError, ValueError, KeyError) as error:
            self._problems.set("ip", f"the network cannot be looked at: {error}")
            return False
        self._problems.set("ip", "")
        return self._own != before

    async def _tell(self) -> None:
        for attempt in range(ATTEMPTS):
            problem = await asyncio.to_thread(self._forget_source)
            self._problems.set("source", problem)
            if not (problem and attempt):
                self.inbox.put_nowait(self._own.surroundings)
            if not problem:
                return
