"""One question to a peer over the tunnel, and its answer."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import dns.exception
import dns.message

from mesh_watchdog.sense.chatter import Chatter

Note = Callable[[bytes], None]

PORT = 53
DEADLINE = 1.5
"""Seconds for the answer."""
RETRY = 0.5
"""Seconds after which the question is sent again, as UDP loses packets."""
LARGEST = 1232
"""Bytes of a message that are read; no node sends a larger one."""
MOST = 16
"""Messages that are read while one answer is waited for. Who sends more that are none is not listened to."""


async def ask(question: bytes, address: str, interface: str, chatter: Chatter) -> dns.message.Message | None:
    """Ask the node at this mesh address. Return None if it does not answer in time, or nothing can be sent.

    Packets from elsewhere and answers to other questions do not count. What is said is noted in ``chatter``.
    """
    try:
        with _connected(address, interface) as sock:
            return await _exchange(question, sock, partial(chatter.note, address))
    except OSError:
        return None


def _connected(address: str, interface: str) -> socket.socket:
    """A socket that sends into the tunnel, and receives only what comes out of it from this address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        made.connect((address, PORT))
    except OSError:
        made.close()
        raise
    return made


async def _exchange(question: bytes, sock: socket.socket, note: Note) -> dns.message.Message | None:
    asked = dns.message.from_wire(question)
    asked.id = secrets.randbelow(1 << 16)
    question = asked.id.to_bytes(2) + question[2:]
    end = time.monotonic() + DEADLINE
    for wait in (RETRY, DEADLINE):
        with suppress(OSError):  # a full queue, or an ICMP error for the packet before
            sock.send(question)
        note(question)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(wait, end - time.monotonic())):
                return await _answer(asked, sock, note)
    return None


async def _answer(asked: dns.message.Message, sock: socket.socket, note: Note) -> dns.message.Message | None:
    loop = asyncio.get_running_loop()
    for _ in range(MOST):
        try:
            data = await loop.sock_recv(sock, LARGEST)
        except ConnectionRefusedError:  # port closed (yet)
            await asyncio.sleep(RETRY)
            continue
        note(data)
        with suppress(dns.exception.DNSException, ValueError):
            if asked.is_response(answer := dns.message.from_wire(data)):
                return answer
        await asyncio.sleep(0)  # what is there already is received without one: everything else has its turn
    return None
