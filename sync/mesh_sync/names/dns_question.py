"""Asking nameservers by dnspython, over sockets of our own: a mark, a deadline, each answer used as it comes."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode

from mesh_sync.names.nameservers import VERSIONS, Answer, Nameserver, Query, Race, Reply, Unresolved
from mesh_sync.names.resolv_conf import ResolvConf
from mesh_sync.wireguard.endpoint import Address

RETRY = 1.0
"""Seconds after which a question that was not answered is sent again: UDP loses some."""
REFUSED = 0.3
"""The same where nothing listens: a resolver that is being restarted."""
_TYPES = {4: "A", 6: "AAAA"}


async def ask_nameservers(name: str, servers: Sequence[Nameserver], conf: ResolvConf, deadline: float) -> Answer:
    """Ask ``servers`` for the addresses of exactly this name. Done after ``deadline`` seconds with what is known then.

    ``conf``: how they are asked.
    """
    edns = 0 if conf.edns else None
    try:
        messages = {version: dns.message.make_query(name, kind, use_edns=edns) for version, kind in _TYPES.items()}
    except dns.exception.DNSException as error:  # too long with this search domain
        return Answer(name, reason=Unresolved.FAILURE, detail=str(error))
    race, end = Race(len(servers), (4,) if conf.no_ipv6 else VERSIONS), time.monotonic() + deadline
    tasks: dict[asyncio.Task[Reply], Query] = {}
    try:
        while not race.is_over(moment := time.monotonic()) and moment < end:
            before: asyncio.Task[Reply] | None = None
            for server, version in race.due(moment):
                asking = _query(messages[version], servers[server], conf, end, before)
                tasks[task := asyncio.create_task(asking)] = server, version
                before = task if conf.one_at_a_time else None
            timeout = min(race.wait(moment), end - moment)
            done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                race.take(tasks.pop(task), task.result(), time.monotonic())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return race.answer(name)


async def _query(
    question: dns.message.Message,
    server: Nameserver,
    conf: ResolvConf,
    end: float,
    before: asyncio.Task[Reply] | None,
) -> Reply:
    """Ask one nameserver, again and again until shortly before ``end``, on the monotonic clock.

    ``before``: what has to be done first (`options single-request`).
    """
    if before:
        await asyncio.wait([before])
    while True:
        try:
            return _reply(await _exchange(question, server, conf, end))
        except TimeoutError:
            reply = Reply(reason=Unresolved.SILENCE)
        except ConnectionRefusedError as error:
            reply = Reply(reason=Unresolved.FAILURE, detail=str(error.strerror))
            await asyncio.sleep(REFUSED)
        except OSError as error:  # there is no way to it
            return Reply(reason=Unresolved.FAILURE, detail=error.strerror or type(error).__name__)
        except Exception as error:  # noise over TCP, a name that is its own alias
            return Reply(reason=Unresolved.FAILURE, detail=" ".join(str(error).split())[:200] or type(error).__name__)
        if time.monotonic() > end - REFUSED:
            return reply


def _reply(response: dns.message.Message) -> Reply:
    if (code := response.rcode()) == dns.rcode.NXDOMAIN:
        return Reply(reason=Unresolved.NO_NAME)
    if code != dns.rcode.NOERROR or not isinstance(response, dns.message.QueryMessage):
        return Reply(reason=Unresolved.FAILURE, detail=dns.rcode.to_text(code))
    if not (found := _addresses(response)):
        return Reply(reason=Unresolved.NO_ADDRESS)
    return Reply(found, float(response.resolve_chaining().minimum_ttl), has_way=any(map(_has_way, found)))


def _addresses(response: dns.message.Message) -> tuple[Address, ...]:
    chain = response.resolve_chaining() if isinstance(response, dns.message.QueryMessage) else None
    return tuple(ipaddress.ip_address(record.to_text()) for record in (chain and chain.answer) or ())


def _has_way(address: Address) -> bool:
    """Whether this machine has a route to it. Connecting a UDP socket asks the routing table and sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
    except OSError:
        return False
    return True


async def _exchange(
    question: dns.message.Message, server: Nameserver, conf: ResolvConf, end: float
) -> dns.message.Message:
    """One question by UDP, and by TCP when the answer was cut.

    What of a cut answer arrived counts, when TCP gives nothing.
    """
    if conf.use_tcp:
        return await _by_tcp(question, server)
    try:
        return await _by_udp(question, server, end)
    except dns.message.Truncated as cut:
        try:
            return await _by_tcp(question, server)
        except Exception:
            part: dns.message.Message = cut.message()  # type: ignore[no-untyped-call]
            if not _addresses(part):
                raise
            return part


async def _by_udp(question: dns.message.Message, server: Nameserver, end: float) -> dns.message.Message:
    """Send it every `RETRY` seconds, from one port: the answer to an earlier one may come late. Ignore what is none."""
    async with _connected(socket.SOCK_DGRAM, server) as sock:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY):
                    return await dns.asyncquery.udp(
                        question,
                        server.address,
                        port=server.port,
                        sock=sock,
                        raise_on_truncation=True,
                        ignore_errors=True,
                    )
            if time.monotonic() > end - REFUSED:
                raise TimeoutError


async def _by_tcp(question: dns.message.Message, server: Nameserver) -> dns.message.Message:
    async with asyncio.timeout(RETRY), _connected(socket.SOCK_STREAM, server) as sock:
        return await dns.asyncquery.tcp(question, server.address, port=server.port, sock=sock)


@asynccontextmanager
async def _connected(kind: socket.SocketKind, server: Nameserver) -> AsyncIterator[Any]:
    """A socket for dnspython: marked before it is connected, for only then its source address is right.

    Connected, so that a port where nothing listens is known at once.
    """
    found = socket.getaddrinfo(server.address, server.port, type=kind, flags=socket.AI_NUMERICHOST)
    family, _, _, _, address = found[0]
    with socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as made:
        if server.mark:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, server.mark)
        await asyncio.get_running_loop().sock_connect(made, address)
        yield _Socket(made)


class _Socket:
    """What dnspython calls of its own sockets. Its user limits the time."""

    def __init__(self, made: socket.socket) -> None:
        self.family = made.family
        self._made = made
        self._server: Any = None

    async def sendto(self, what: bytes, destination: Any, _: float | None) -> int:
        self._server = destination
        await self.sendall(what, None)
        return len(what)

    async def recvfrom(self, size: int, _: float | None) -> tuple[bytes, Any]:
        return await self.recv(size, None), self._server

    async def sendall(self, what: bytes, _: float | None) -> None:
        await asyncio.get_running_loop().sock_sendall(self._made, what)

    async def recv(self, size: int, _: float | None) -> bytes:
        await asyncio.sleep(0)  # what is there already is received without a pause, and no deadline would be met
        return await asyncio.get_running_loop().sock_recv(self._made, size)

    async def getpeername(self) -> Any:
        return self._made.getpeername()
