"""The mesh repository, read-only, for peers that fetch it over the tunnel: git's own protocol on port 9418."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from contextlib import suppress

from mesh_sync.errors import DeviceError
from mesh_sync.node.config import Node
from mesh_sync.node.news import PORT
from mesh_watchdog.journal import Problems, log
from mesh_watchdog.mesh_dns.budgets import Budget
from mesh_watchdog.mesh_dns.listening import open_socket
from mesh_watchdog.mesh_dns.views import Views
from mesh_watchdog.news import request, served
from mesh_watchdog.sense.sense import Sense

AT_ONCE, WAITING = 4, 16
"""Clients that are served at once, of each peer one; and those that there may be in all, of each peer …"""
OF_ONE = 2
"""… so many: the next comes while the last is being cleared away."""
EACH, ALL = (0.5, 8.0), (5.0, 40.0)
"""Clients a second and at once, of one peer and of all."""
PATIENCE = 5.0
"""Seconds in which a client says what it wants."""
DEADLINE = 20.0
"""Seconds for all of it."""
MOST_ASKED, MOST_GIVEN = 1 << 20, 32 << 20
"""Bytes by one client and to it; who lacks more asks the git host."""
PIECE = 1 << 16
PARTING = 1.0
"""Seconds in which a client that has got everything hangs up; what it had not taken yet would be lost."""
AGAIN = 10.0
"""Seconds after which a port that was taken is tried again."""
_NOWHERE: tuple[int, tuple[str, ...]] = (0, ())


class GitPort(Sense):
    """Observes nothing. Serves only peers' own mesh addresses, and only what this node has applied."""

    def __init__(self, node: Node, views: Views, problems: Problems) -> None:
        super().__init__()
        self._node = node
        self._views = views
        self._problems = problems
        self._budget = Budget(EACH, ALL)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._own_turns: dict[str, asyncio.Lock] = {}
        self._clients: dict[asyncio.StreamWriter, str] = {}
        self._servers: list[asyncio.Server] = []
        self._programs: set[asyncio.subprocess.Process] = set()
        self._place = _NOWHERE
        self._try = float("-inf")

    async def look(self) -> None:
        """Follow the interface and its addresses."""
        place = (_number(self._node.interface), self._views.here.addresses)
        if place == self._place and time.monotonic() < self._try:
            return
        self._close()
        problem = ""
        for address in place[1] if place[0] else ():
            try:
                made = open_socket(socket.SOCK_STREAM, address, self._node.interface, PORT)
                made.listen(WAITING)
                self._servers.append(await asyncio.start_server(self._meet, sock=made, limit=PIECE))
            except OSError as error:
                problem = (
                    f"peers cannot fetch from this node: port {PORT} of {address}: {error.strerror}; `serve_git = "
                    "false` in [watchdog] of node.toml turns it off"
                )
        self._problems.set("git", problem, over="peers can fetch from this node")
        self._place, self._try = place, time.monotonic() + AGAIN if problem else float("inf")

    async def stop(self) -> None:
        await super().stop()
        self._close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for program in list(self._programs):
            await program.wait()

    def _close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
        for writer in list(self._clients):
            writer.transport.abort()

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.spawn(self._see_to(reader, writer))

    async def _see_to(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = writer.get_extra_info("peername")
        source = self._views.directory.by_address.get(place[0] if place else "", "")
        taken = source and len(self._clients) < WAITING and list(self._clients.values()).count(source) < OF_ONE
        if not taken or not self._budget.take(source):
            writer.transport.abort()
            return
        self._clients[writer] = source
        self._own_turns = {key: turn for key, turn in self._own_turns.items() if key in self._clients.values()}
        own_turn = self._own_turns.setdefault(source, asyncio.Lock())
        try:
            async with asyncio.timeout(PATIENCE):
                line = await reader.readexactly(request.length(await reader.readexactly(request.HEADER)))
            if not request.asks_for_mesh(line):
                raise ValueError("another repository, or not to fetch")
            async with asyncio.timeout(DEADLINE), own_turn, self._turns:
                await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            pass  # a client that goes away, takes its time, or wants something else
        except DeviceError as error:
            self._problems.set("served", error.message, over="peers can fetch from this node again")
        finally:
            writer.transport.abort()
            del self._clients[writer]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commit = self._views.applied
        if not commit:
            raise ValueError("there is nothing yet")
        await asyncio.to_thread(served.point_at, self._node, commit)
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *served.command(self._node.served_repository), stdin=pipe, stdout=pipe, stderr=nothing,
            env=served.surroundings(), start_new_session=True, limit=PIECE,
        )  # fmt: skip
        self._programs.add(process)
        assert process.stdin
        assert process.stdout
        asking = asyncio.create_task(_pass_on(reader, process.stdin, MOST_ASKED))
        try:
            await _pass_on(process.stdout, writer, MOST_GIVEN)
            await asyncio.wait([asking], timeout=PARTING)
        finally:
            asking.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(asyncio.CancelledError, OSError, ValueError):
                await asking
            await process.wait()
            self._programs.discard(process)
            log.debug("served %s", commit)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int) -> None:
    """Pass on what comes, to its end. Raise ValueError when it is more than ``most`` bytes."""
    passed = 0
    writer.transport.set_write_buffer_limits(0)
    while piece := await reader.read(PIECE):
        passed += len(piece)
        if passed > most:
            raise ValueError("too much")
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _number(interface: str) -> int:
    with suppress(OSError):
        return socket.if_nametoindex(interface)
    return 0
