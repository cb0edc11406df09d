"""Host names to addresses, by dnspython: for both programs, from every usable nameserver, within a deadline.

Names that DNS does not serve (one label, `.local`) go to the system's resolver, in a process that can be ended.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rcode

from mesh_sync.errors import CommandError, Reason
from mesh_sync.names.nameservers import Answer, Nameserver, Query, Race, Reply, Unresolved
from mesh_sync.names.resolv_conf import MAX_NAMESERVERS, parse_resolv_conf
from mesh_sync.system.run import run

DEADLINE = 3.0
"""Seconds for one name, and for all names of a run together (rule R10)."""
RETRY = 1.0
"""Seconds after which a question that was not answered is sent again: UDP loses some."""
REFUSED = 0.3
"""The same where nothing listens: a resolver that is being restarted."""
AT_ONCE = 64
RESOLV_CONF = Path("/etc/resolv.conf")
_TYPES = {4: "A", 6: "AAAA"}


def nameservers() -> tuple[Nameserver, ...]:
    """The nameservers of this machine, as /etc/resolv.conf has them now."""
    try:
        return parse_resolv_conf(RESOLV_CONF.read_text(errors="replace")).nameservers[:MAX_NAMESERVERS]
    except OSError:
        return ()


def resolve(
    hosts: Iterable[str], deadline: float = DEADLINE, servers: Sequence[Nameserver] | None = None
) -> dict[str, Answer]:
    """Look up every name. Never raises; done after ``deadline`` seconds whatever happens.

    Names that come first are asked for first, `AT_ONCE` at a time.
    """
    asked = list(dict.fromkeys(hosts))
    return asyncio.run(_all(asked, nameservers() if servers is None else servers, deadline)) if asked else {}


async def _all(hosts: Sequence[str], servers: Sequence[Nameserver], deadline: float) -> dict[str, Answer]:
    answers = {host: Answer(host, reason=Unresolved.SILENCE) for host in hosts}
    slots = asyncio.Semaphore(AT_ONCE)
    end = time.monotonic() + deadline

    async def one(host: str) -> None:
        async with slots:
            answers[host] = await look_up(host, servers, deadline=end - time.monotonic())

    with suppress(TimeoutError):
        async with asyncio.timeout(deadline + 0.1):
            await asyncio.gather(*map(one, hosts))
    return answers


async def look_up(host: str, servers: Sequence[Nameserver], *, deadline: float = DEADLINE) -> Answer:
    """Look up one name: IPv4 and IPv6 at once, at ``servers``, the usable ones, the next when one is slow or fails.

    A server's mark takes CAP_NET_ADMIN. Never raises; done after ``deadline`` seconds whatever happens.
    """
    try:
        if "." not in host or host.endswith(".local") or host[-1].isdigit():
            return await _by_system(host, deadline)
        if not servers:
            return Answer(host, reason=Unresolved.NO_NAMESERVER)
        return await _by_dns(host, servers, deadline)
    except Exception as error:  # whatever a resolver sends: the caller has to hear back
        return Answer(host, reason=Unresolved.FAILURE, detail=f"{type(error).__name__}: {error}")


async def _by_dns(host: str, servers: Sequence[Nameserver], deadline: float) -> Answer:
    race, end = Race(len(servers)), time.monotonic() + deadline
    tasks: dict[asyncio.Task[Reply], Query] = {}
    try:
        while not race.is_over(moment := time.monotonic()) and moment < end:
            for server, version in race.due(moment):
                query = _query(dns.message.make_query(host, _TYPES[version]), servers[server], end)
                tasks[asyncio.create_task(query)] = server, version
            timeout = min(race.wait(moment), end - moment)
            done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                race.take(tasks.pop(task), task.result(), time.monotonic())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return race.answer(host)


async def _query(question: dns.message.Message, server: Nameserver, end: float) -> Reply:
    """Ask one nameserver, again and again until shortly before ``end``, on the monotonic clock."""
    while True:
        try:
            return _reply(await _exchange(question, server))
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
    chain = response.resolve_chaining()
    if not chain.answer:
        return Reply(reason=Unresolved.NO_ADDRESS)
    return Reply(tuple(ipaddress.ip_address(record.to_text()) for record in chain.answer), float(chain.minimum_ttl))


async def _exchange(question: dns.message.Message, server: Nameserver) -> dns.message.Message:
    """One question by UDP, for `RETRY` seconds, and by TCP when the answer was cut; what is no answer is ignored."""
    address, port = server.address, server.port
    try:
        async with asyncio.timeout(RETRY), _connected(socket.SOCK_DGRAM, server) as sock:
            return await dns.asyncquery.udp(
                question, address, port=port, sock=sock, raise_on_truncation=True, ignore_errors=True
            )
    except dns.message.Truncated:
        async with _connected(socket.SOCK_STREAM, server) as sock:
            return await dns.asyncquery.tcp(question, address, port=port, sock=sock)


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
    """What dnspython calls of its own sockets. Whoever uses it limits the time."""

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
        return await asyncio.get_running_loop().sock_recv(self._made, size)

    async def getpeername(self) -> Any:
        return self._made.getpeername()


async def _by_system(host: str, deadline: float) -> Answer:
    end = time.monotonic() + deadline * 0.9

    def getent() -> str:  # perhaps after waiting for a thread
        return run(["getent", "ahosts", host], deadline=max(0.0, end - time.monotonic()))

    try:
        text = await asyncio.to_thread(getent)
    except CommandError as error:
        if error.reason is Reason.EXIT_STATUS and error.status == 2:
            return Answer(host, reason=Unresolved.NO_NAME)
        return Answer(host, reason=Unresolved.FAILURE, detail=error.message)
    found = {ipaddress.ip_address(line.split()[0]) for line in text.splitlines() if "%" not in line}
    addresses = tuple(sorted(found, key=lambda address: (address.version, int(address))))
    return Answer(host, addresses, reason=None if addresses else Unresolved.NO_ADDRESS)
