"""`mesh-sync web`: one page on one socket, for one person, until Ctrl-C or an hour without use."""

from __future__ import annotations

import asyncio
import time
from asyncio import Transport
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mesh_sync.web.entrance import Entrance, redirect_file
from mesh_sync.web.listening import Listening

IDLE = 3600.0
"""Seconds without use after which the page ends."""
LOOK = 1.0
"""Seconds between two looks at whether it has."""
HEADERS_DEADLINE = 10.0
"""Seconds for a connection to bring its first request."""
MOST_CONNECTIONS = 64
LARGEST_HEAD = 16 * 1024
"""Bytes of a request's line and headers."""


class Protocol(H11Protocol):
    """HTTP/1.1 over a connection that is closed when nothing whole has arrived in time."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(HEADERS_DEADLINE, self._close_if_unused)

    def _close_if_unused(self) -> None:
        if self.cycle is None:
            self.transport.close()


class Use:
    """When the page was used last."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def __call__(self) -> None:
        self.last = time.monotonic()


def serve(
    listening: AbstractContextManager[Listening],
    app: Callable[[Entrance, Use], Any],
    opened: Callable[[str, str, str], None],
    idle: float = IDLE,
) -> None:
    """Serve what ``app`` makes until it has not been used for ``idle`` seconds, or KeyboardInterrupt.

    ``opened`` is told the address (empty for a Unix socket), the one-time token, and the file that opens the page.
    """
    use = Use()
    with listening as at:
        entrance = Entrance(at.label)
        with redirect_file(entrance, at.url) as file:
            server = uvicorn.Server(_config(app(entrance, use)))
            opened(at.url, entrance.token, str(file) if at.url else "")
            asyncio.run(_until_idle(server, at, use, idle))


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app, http=Protocol, ws="none", loop="asyncio", lifespan="off", interface="asgi3", log_config=None,
        access_log=False, server_header=False, proxy_headers=False, limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=30, timeout_graceful_shutdown=2, h11_max_incomplete_event_size=LARGEST_HEAD,
    )  # fmt: skip


async def _until_idle(server: uvicorn.Server, at: Listening, use: Use, idle: float) -> None:
    serving = asyncio.create_task(server.serve(sockets=[at.socket]))
    while not serving.done():
        if time.monotonic() - use.last > idle:
            server.should_exit = True
        await asyncio.wait([serving], timeout=min(LOOK, idle))
    await serving
