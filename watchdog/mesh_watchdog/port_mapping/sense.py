"""The sense of the endpoint that a router forwards to this node: asks for the mapping, renews it, and gives it back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import evolve

from mesh_sync.errors import MeshSyncError
from mesh_watchdog.journal import log
from mesh_watchdog.policy.observations import Mapped
from mesh_watchdog.policy.state import State
from mesh_watchdog.port_mapping import ask, nat_pmp, pcp
from mesh_watchdog.port_mapping.answers import Refused, Why, is_translated
from mesh_watchdog.port_mapping.renewal import SOONEST, Renewal, has_restarted, took
from mesh_watchdog.port_mapping.router import Router, find, news_from
from mesh_watchdog.sense.sense import Sense

NEWS_PAUSE = 0.1
"""Seconds between two announcements that are read; the kernel drops the rest of a flood."""
LAST_WORDS = 2.0
"""Seconds for giving a mapping back at the end."""


class PortMapping(Sense):
    """Observes when there is such an endpoint, and when it ends. ``believed`` returns the watchdog's state."""

    def __init__(self, interface: str, believed: Callable[[], State]) -> None:
        super().__init__()
        self._interface = interface
        self._believed = believed
        self._seen: State | None = None
        self._router: Router | None = None
        self._held: ask.Held | None = None
        self._renewal = Renewal()
        self._asked = float("-inf")
        self._due = asyncio.Event()
        self._news: socket.socket | None = None
        self._said = Mapped("")
        self._keeper: Coroutine[Any, Any, None] | None = None

    async def look(self) -> None:
        """Ask again when our network, the applied state or the interface has changed."""
        before, self._seen = self._seen, self._believed()
        if not self._seen.interface or (before and _same(before, self._seen)):
            return
        self._renewal = evolve(self._renewal, failures=0)
        self._due.set()
        if self._keeper is None:
            self._keeper = self._keep()
            self.spawn(self._keeper)

    async def stop(self) -> None:
        await super().stop()
        self._listen_to(None)
        if self._held and self._router:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ask.remove(self._router, self._held), LAST_WORDS)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._asked + SOONEST - time.monotonic()))
            self._due.clear()
            self._asked = time.monotonic()
            await self._ask()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), max(0.0, self._renewal.due - time.monotonic()))

    async def _ask(self) -> None:
        try:
            router = await asyncio.to_thread(find, self._interface, self._believed().mark)
        except MeshSyncError:  # the other senses say so
            self._take(Refused(Why.SILENT), "")
            return
        if router != self._router:
            await self._change_to(router)
        if router is None or not is_translated(router.own):
            self._renewal = Renewal(due=float("inf"))
            self._tell(Mapped(""))
            return
        found = await ask.for_mapping(router, self._held)
        self._take(found, f"the router at {router.gateway}")

    def _take(self, found: ask.Held | Refused, who: str) -> None:
        if isinstance(found, ask.Held):
            self._renewal = took(self._renewal, found.granted, time.monotonic())
            self._held = found
            self._tell(Mapped(found.granted.endpoint, found.by))
            return
        self._renewal = took(self._renewal, found, time.monotonic())
        if self._renewal.granted is None:
            self._held = None
            self._tell(Mapped("", f"{who} {found.why.value}" if who else ""))

    async def _change_to(self, router: Router | None) -> None:
        """Give up what was mapped for another port, by another router or for another address of ours."""
        if self._held and self._router:
            self._tell(Mapped(""))
            await ask.remove(self._router, self._held)
        self._router, self._held, self._renewal = router, None, Renewal()
        self._listen_to(router if router and is_translated(router.own) else None)

    def _tell(self, mapped: Mapped) -> None:
        if mapped == self._said:
            return
        self._said = mapped
        if mapped.endpoint:
            log.info("the router forwards %s to this node (%s)", mapped.endpoint, mapped.how)
        elif mapped.how:
            log.info("no port is mapped: %s", mapped.how)
        self.inbox.put_nowait(mapped)

    def _listen_to(self, router: Router | None) -> None:
        """Listen to what the router tells all its hosts; where that fails, a lost mapping is noticed at its renewal."""
        if self._news:
            asyncio.get_running_loop().remove_reader(self._news)
            self._news.close()
        self._news = None
        with contextlib.suppress(OSError):
            if router:
                self._news = news_from(router)
                self._listen(self._news)

    def _listen(self, news: socket.socket) -> None:
        if news is self._news:
            asyncio.get_running_loop().add_reader(news, self._on_news, news)

    def _on_news(self, news: socket.socket) -> None:
        """Any machine of the LAN can send this: it makes us ask the router again, at most once in `SOONEST` seconds."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(news)
        loop.call_later(NEWS_PAUSE, self._listen, news)
        with contextlib.suppress(OSError):
            data = news.recv(2048)
            epoch, moved = pcp.announced(data), False
            if isinstance(told := nat_pmp.address(data), tuple):
                moved, epoch = self._held is not None and told[0] != self._held.granted.address, told[1]
            if epoch is not None and (moved or has_restarted(self._renewal, epoch, time.monotonic())):
                self._due.set()


def _same(before: State, now: State) -> bool:
    """Whether nothing observed since may have moved this machine or its port."""
    return (
        before.interface
        and before.surroundings is now.surroundings
        and before.tunnel is now.tunnel
        and before.mark == now.mark
    )
