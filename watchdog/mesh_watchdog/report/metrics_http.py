"""GET /metrics on a loopback address, for a Prometheus that scrapes: asyncio, and as little of HTTP as that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 5.0
"""Seconds a client may take to ask."""
_HEAD = "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"


async def serve(place: tuple[str, int], text: Callable[[], str]) -> asyncio.Server:
    """Listen; every request is answered by what ``text`` returns then. Raise OSError when the port is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            writer.write(response(head, text))
            await asyncio.wait_for(writer.drain(), PATIENCE)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that goes away, or says no HTTP
        finally:
            writer.close()

    return await asyncio.start_server(answer, *place, limit=16384)


def response(head: bytes, text: Callable[[], str]) -> bytes:
    """Given a request's head, return the whole response."""
    method, _, rest = head.split(b"\r\n", 1)[0].partition(b" ")
    target = rest.partition(b" ")[0].partition(b"?")[0]
    if target != b"/metrics":
        return _response("404 Not Found", "only /metrics is here\n")
    if method != b"GET":
        return _response("405 Method Not Allowed", "only GET is\n")
    return _response("200 OK", text(), "text/plain; version=0.0.4; charset=utf-8")


def _response(status: str, body: str, kind: str = "text/plain; charset=utf-8") -> bytes:
    content = body.encode()
    return _HEAD.format(status=status, kind=kind, length=len(content)).encode() + content
