"""Sockets for questions: one address, one device, UDP or TCP."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

PORT = 53
LARGEST = 2048
"""Bytes of a question that are received; of fewer it is read (`answers.LARGEST`)."""
BATCH = 256
"""Datagrams that are read in a row, of which most are dropped unread when there are so many …"""
SPELL = 0.02
"""… for at most this many seconds. Then the rest of the program has its turn, for as long as that took …"""
PAUSE = 0.001
"""… and at least this long. The kernel drops what the socket cannot hold in the meantime."""
PATIENCE = 5.0
"""Seconds in which a TCP client has to send its next question and take the answer."""
QUESTIONS = 32
"""On one connection."""
CONNECTIONS, FROM_ONE = 32, 4
"""Connections at once, in all and from one address; further ones are closed."""
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78
"""linux/in.h, linux/in6.h: allows binding to an address that does not exist (yet)."""

Answer = Callable[[bytes, str], Awaitable[bytes | None]]
"""Given a question and its source, return the answer, or None for none."""
Admit = Callable[[str], bool]
"""Whether the next question from this address is to be read at all."""


def open_socket(kind: socket.SocketKind, address: str, device: str, port: int = PORT) -> socket.socket:
    """A socket on this port of the address, for packets from this device only. Raise OSError if that is impossible."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made


class UdpPort:
    """Passes datagrams on, a batch at a time."""

    def __init__(self, made: socket.socket, take: Callable[[UdpPort, bytes, tuple[str, int]], None]) -> None:
        self._socket = made
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._pausing: asyncio.TimerHandle | None = None
        self._resume()

    def send(self, answer: bytes, place: tuple[str, int]) -> None:
        with suppress(OSError):  # no way back, or no room: the client asks again
            self._socket.sendto(answer, place)

    def pause(self, seconds: float) -> None:
        """Read nothing for so long."""
        if self._pausing is None and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._pausing = self._loop.call_later(seconds, self._resume)

    def close(self) -> None:
        if self._pausing:
            self._pausing.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _resume(self) -> None:
        self._pausing = None
        self._loop.add_reader(self._socket, self._read)

    def _read(self) -> None:
        begin = time.monotonic()
        for _ in range(BATCH):
            try:
                data, place = self._socket.recvfrom(LARGEST)
            except OSError:  # none left; or what came back from an answer (ICMP)
                return
            self._take(self, data, place)
            if self._pausing:
                return
            if time.monotonic() - begin > SPELL:
                break
        self.pause(max(PAUSE, time.monotonic() - begin))


class TcpPort:
    """Answers questions by TCP (RFC 7766), few clients at a time."""

    def __init__(self, admit: Admit, answer: Answer) -> None:
        self._admit = admit
        self._answer = answer
        self._clients: dict[asyncio.StreamWriter, str] = {}
        self._server: asyncio.Server | None = None

    async def serve(self, made: socket.socket) -> None:
        made.listen(CONNECTIONS)
        self._server = await asyncio.start_server(self._meet, sock=made, limit=LARGEST)

    def close(self) -> None:
        if self._server:
            self._server.close()
        for writer in list(self._clients):
            writer.transport.abort()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = writer.get_extra_info("peername")
        source: str = place[0] if place else ""
        crowded = len(self._clients) >= CONNECTIONS or list(self._clients.values()).count(source) >= FROM_ONE
        self._clients[writer] = source
        try:
            for _ in range(0 if crowded else QUESTIONS):
                if not self._admit(source):
                    break
                async with asyncio.timeout(PATIENCE):
                    await self._serve_one(reader, writer, source)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            pass  # the client left, is too slow, or asks no question
        finally:
            writer.transport.abort()  # what the client does not take is dropped
            del self._clients[writer]

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: str) -> None:
        size = int.from_bytes(await reader.readexactly(2))
        if size > LARGEST:
            raise ValueError("too large for a question")
        answer = await self._answer(await reader.readexactly(size), source)
        if answer is None:
            raise ValueError("no question")
        writer.write(len(answer).to_bytes(2) + answer)
        await writer.drain()
