"""Asking many nodes at once, over the tunnel, what they say of themselves: DNS, by UDP and where need be by TCP.

One socket for each IP version serves all, however many nodes there are. It is bound to the interface, so that what
arrives came out of the tunnel.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
from dns.rdataclass import IN
from dns.rdatatype import RdataType

from mesh_sync.node.statement import LARGEST
from mesh_sync.wireguard.desired import DEFAULT_ZONE

PORT = 53
DEADLINE = 2.0
"""Seconds for everything."""
AGAIN = (0.4, 0.6)
"""Seconds after which a question is sent once more, and once more after that: UDP loses some."""
PACE = 0.0005
"""Seconds between the first questions to two nodes, so that neither end's queue is full …"""
SPREAD = 0.4
"""… and at most so many for all of them."""
PAYLOAD = 1232
"""Bytes of an answer by UDP (DNS flag day 2020)."""
ROOM = 4 * 1024 * 1024
"""Bytes of answers that the kernel keeps for us; it gives what it allows."""
_LABEL = "_fleet"


def question(zone: str) -> dns.message.QueryMessage:
    """The question, with an id of its own."""
    try:
        name = dns.name.from_text(f"{_LABEL}.{zone}")
    except dns.exception.DNSException:  # where nodes serve the usual one
        name = dns.name.from_text(f"{_LABEL}.{DEFAULT_ZONE}")
    return dns.message.make_query(name, RdataType.TXT, use_edns=0, payload=PAYLOAD)


def said(answer: dns.message.Message) -> bytes | None:
    """What an answer to the question says, at most `LARGEST` bytes and one; None where it says nothing."""
    wanted = answer.question[0].name, IN, RdataType.TXT
    records = (record for each in answer.answer if (each.name, each.rdclass, each.rdtype) == wanted for record in each)
    return next((b"".join(record.strings)[: LARGEST + 1] for record in records), None)


def ask(addresses: Sequence[str], zone: str, interface: str, deadline: float = DEADLINE) -> dict[str, bytes]:
    """Ask the nodes at these mesh addresses; return what came from each within ``deadline`` seconds."""
    return asyncio.run(_ask(addresses, zone, interface, deadline))


async def _ask(addresses: Sequence[str], zone: str, interface: str, deadline: float) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    end = asyncio.get_running_loop().time() + deadline
    desk = _Desk(interface)
    pace = min(PACE, SPREAD / max(1, len(addresses)))

    async def one(address: str, after: float) -> None:
        await asyncio.sleep(after)
        if (answer := await desk.ask(address, question(zone), end)) and (data := said(answer)) is not None:
            found[address] = data

    tasks = [asyncio.create_task(one(address, number * pace)) for number, address in enumerate(addresses)]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=deadline)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        desk.close()
    return found


class _Desk:
    """Sends questions and hands each answer to who waits for it. What was not asked for is dropped."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[socket.AddressFamily, socket.socket | None] = {}
        self._waiting: dict[str, tuple[dns.message.QueryMessage, asyncio.Future[dns.message.Message]]] = {}

    async def ask(self, address: str, query: dns.message.QueryMessage, end: float) -> dns.message.Message | None:
        """The answer to ``query`` from there; None if there is none until ``end``, on the loop's clock."""
        answer: asyncio.Future[dns.message.Message] = self._loop.create_future()
        self._waiting[address], wire = (query, answer), query.to_wire()
        for wait in (*AGAIN, end - self._loop.time()):
            self._send(wire, address)
            done, _ = await asyncio.wait([answer], timeout=min(wait, max(0.0, end - self._loop.time())))
            if done:
                break
        else:
            return None
        if not answer.result().flags & dns.flags.TC:
            return answer.result()
        with suppress(OSError, EOFError, dns.exception.DNSException, ValueError):
            return await asyncio.to_thread(self._by_tcp, query, address, end - self._loop.time())
        return None

    def close(self) -> None:
        for made in filter(None, self._sockets.values()):
            self._loop.remove_reader(made)
            made.close()

    def _send(self, question: bytes, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if family not in self._sockets:
            self._sockets[family] = self._open(family)
        with suppress(OSError):  # there is no way to it, or a queue is full
            if made := self._sockets[family]:
                made.sendto(question, (address, PORT))

    def _open(self, family: socket.AddressFamily) -> socket.socket | None:
        made = _bound(family, socket.SOCK_DGRAM, self._interface)
        if made:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
            self._loop.add_reader(made, self._receive, made)
        return made

    def _receive(self, made: socket.socket) -> None:
        try:
            data, place = made.recvfrom(PAYLOAD)
        except OSError:
            return
        query, answer = self._waiting.get(place[0], (None, None))
        if query is None or answer is None or answer.done():
            return
        with suppress(dns.exception.DNSException, ValueError):
            if query.is_response(found := dns.message.from_wire(data)):
                answer.set_result(found)

    def _by_tcp(self, query: dns.message.QueryMessage, address: str, seconds: float) -> dns.message.Message | None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = _bound(family, socket.SOCK_STREAM, self._interface)
        if made is None or seconds <= 0:
            return None
        with made:
            made.settimeout(seconds)
            made.connect((address, PORT))
            made.setblocking(False)
            return dns.query.tcp(query, address, timeout=seconds, sock=made)


def _bound(family: socket.AddressFamily, kind: socket.SocketKind, interface: str) -> socket.socket | None:
    """A socket that sends into the tunnel only; None where there is no such interface."""
    made = socket.socket(family, kind | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    except OSError:
        made.close()
        return None
    return made
