"""This machine's own addresses, links and routes: what they are now, whenever they change (rule R5).

A routing socket only says that something changed: what, is asked of `ip` (`own_addresses`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable

from attrs import evolve

from mesh_sync.errors import MeshSyncError
from mesh_watchdog.journal import Problems, log
from mesh_watchdog.policy.observations import Surroundings
from mesh_watchdog.sense import own_addresses
from mesh_watchdog.sense.own_addresses import OwnAddresses, differ
from mesh_watchdog.sense.route_messages import GROUPS, Places, matter
from mesh_watchdog.sense.sense import Inbox, Sense

DEBOUNCE = 0.3
"""Seconds from the first message to the reading: moving to another address takes several messages."""
INTERVAL = 60.0
"""Seconds between readings that no message asked for, in case one was lost."""
ATTEMPTS = 10
"""How often ``forget_source`` is tried before it is left at that."""
ASLEEP = 2.0
"""Seconds by which the machine must have slept for that to count."""
NEW_PLACES = 5.0
"""Seconds between two questions about places that this machine has begun to use."""

InUse = tuple[frozenset[str], int]


class OwnNetwork(Sense):
    """Observes the surroundings when they have changed, and after the machine slept.

    Another way to a place that is ``in_use`` (addresses, and the mark of packets there) is a change. ``forget_source``
    is called before one is told of: it makes WireGuard send from where we are now, or returns why it cannot yet.
    """

    def __init__(
        self, interface: str, problems: Problems, forget_source: Callable[[], str], in_use: Callable[[], InUse]
    ) -> None:
        super().__init__()
        self._interface = interface
        self._in_use = in_use
        self._looked = float("-inf")
        self._problems = problems
        self._forget_source = forget_source
        self._listener: socket.socket | None = None
        self._due = asyncio.Event()
        self._slept = slept()
        self._own = OwnAddresses(Surroundings(frozenset(), frozenset()))

    async def start(self, inbox: Inbox) -> None:
        """Listen first, then look, so that nothing falls in between."""
        await super().start(inbox)
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            self._listener = socket.socket(socket.AF_NETLINK, kind, 0)
            self._listener.bind((0, GROUPS))
            asyncio.get_running_loop().add_reader(self._listener, self._on_message)
        except OSError as error:
            self._problems.set("netlink", f"changes of the network are seen late: {error.strerror}")
        await self._read()
        inbox.put_nowait(evolve(self._own.surroundings, moved=False))
        self.spawn(self._watch())

    async def look(self) -> None:
        before, self._slept = self._slept, slept()
        if self._slept - before > ASLEEP:
            log.info("this machine was asleep")
            self.spawn(self._tell())
            self._due.set()
        places, mark = self._in_use()
        if time.monotonic() - self._looked > NEW_PLACES and (new := places - self._own.paths.keys()):
            self._looked = time.monotonic()
            self.spawn(self._learn(new, mark))

    async def stop(self) -> None:
        await super().stop()
        if self._listener:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()

    def _on_message(self) -> None:
        assert self._listener is not None
        if drain(self._listener, Places(self._in_use()[0])):
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

    async def _learn(self, new: frozenset[str], mark: int) -> None:
        """Take in by which way places are reached that this machine has begun to use."""
        with contextlib.suppress(MeshSyncError):  # the next reading says so
            found = await asyncio.to_thread(own_addresses.paths, new, mark)
            self._own = evolve(self._own, paths={**found, **self._own.paths})

    async def _read(self) -> bool:
        """Return whether there is a change. When `ip` fails, things are as they were."""
        before, self._looked = self._own, time.monotonic()
        try:
            self._own = await asyncio.to_thread(
                own_addresses.read, self._interface, *self._in_use(), had_default=before.default
            )
        except (MeshSyncError, ValueError, KeyError) as error:
            self._problems.set("ip", f"the network cannot be looked at: {error}")
            return False
        self._problems.set("ip", "")
        return differ(before, self._own)

    async def _tell(self) -> None:
        for attempt in range(ATTEMPTS):
            problem = await asyncio.to_thread(self._forget_source)
            self._problems.set("source", problem)
            if not (problem and attempt):
                self.inbox.put_nowait(self._own.surroundings)
            if not problem:
                return


def slept() -> float:
    """Seconds this machine has slept since it booted: what CLOCK_BOOTTIME counts and the monotonic clock does not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


def drain(listener: socket.socket, places: Places) -> bool:
    """Read all that is there; return whether any of it may matter. Lost messages do: what they said is not known."""
    matters = False
    while True:
        try:
            data = listener.recv(65536)
        except BlockingIOError:
            return matters
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                return True
            matters = True
        else:
            matters = matters or matter(data, places)
