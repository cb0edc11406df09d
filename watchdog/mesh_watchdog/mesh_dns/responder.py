"""The node's nameserver: answers questions that come out of the tunnel, and passes calls on."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
from attrs import evolve, frozen

from mesh_watchdog.journal import Problems
from mesh_watchdog.mesh_dns import answers, commits, exchange, names, notices
from mesh_watchdog.mesh_dns.budgets import Budget
from mesh_watchdog.mesh_dns.directory import View
from mesh_watchdog.mesh_dns.listening import TcpPort, UdpPort, open_socket
from mesh_watchdog.mesh_dns.notices import Notice
from mesh_watchdog.mesh_dns.published import Published
from mesh_watchdog.mesh_dns.views import Views
from mesh_watchdog.policy.news import Heard
from mesh_watchdog.policy.observations import Sighting, Sought, Standing
from mesh_watchdog.sense.sense import Sense

EACH, ALL = (100.0, 1000.0), (200.0, 2000.0)
"""Questions a second and at once, from one address and in all: about a tenth of a slow processor.

wgsd's client asks for all peers in a row.
"""
LISTED_AT_ONCE = 5
"""Peers in a long list that cost as much as another question."""
EACH_CALL, ALL_CALLS = (10.0, 30.0), (50.0, 100.0)
"""The same for notices."""
EACH_PASSED, ALL_PASSED = (10.0, 20.0), (50.0, 100.0)
"""The same for notices that are passed on to one peer, so that many callers do not flood it."""
EACH_SOUGHT, ALL_SOUGHT = (3.0, 12.0), (50.0, 100.0)
"""The same for notices that are passed on to this node, by the peer that looks for it."""
AGAIN = 10.0
"""Seconds after which a port that was taken is tried again."""
_NOT_THERE = 0


@frozen
class _Place:
    """What the sockets are bound to; the device by its number, as another one may get its name."""

    device: int
    addresses: tuple[str, ...]


async def _nothing() -> bytes:
    return b""


class Responder(Sense):
    """Observes that this node is looked for. Answers only mesh addresses of peers, and programs of this machine.

    ``says``: what this node says of itself now.
    """

    def __init__(
        self, interface: str, views: Views, problems: Problems, says: Callable[[], Awaitable[bytes]] = _nothing
    ) -> None:
        super().__init__()
        self._says = says
        self._interface = interface
        self._views = views
        self._problems = problems
        self._published = Published()
        self._questions = Budget(EACH, ALL)
        self._calls = Budget(EACH_CALL, ALL_CALLS)
        self._passed = Budget(EACH_PASSED, ALL_PASSED)
        self._sought = Budget(EACH_SOUGHT, ALL_SOUGHT)
        self._ports: list[UdpPort | TcpPort] = []
        self._place = _Place(_NOT_THERE, ())
        self._try = float("-inf")

    async def look(self) -> None:
        """Follow the interface and its addresses."""
        place = _Place(_number(self._interface), self._views.here.addresses)
        if place == self._place and time.monotonic() < self._try:
            return
        self._close()
        self._published.keep_only(self._views.directory.peers)
        problem = ""
        for address in place.addresses if place.device != _NOT_THERE else ():
            problem = await self._listen(address) or problem
        self._problems.set("dns", problem, over="names of the mesh can be served")
        self._place, self._try = place, time.monotonic() + AGAIN if problem else float("inf")

    async def stop(self) -> None:
        await super().stop()
        self._close()

    def _close(self) -> None:
        for port in self._ports:
            port.close()
        self._ports.clear()

    async def _listen(self, address: str) -> str:
        """Listen on this address. Return what went wrong, if anything.

        What this machine sends to itself counts as received on the interface that has the address.
        """
        try:
            made = open_socket(socket.SOCK_DGRAM, address, self._interface)
            self._ports.append(UdpPort(made, self._take))
            port = TcpPort(self._admit, self.answer)
            self._ports.append(port)
            await port.serve(open_socket(socket.SOCK_STREAM, address, self._interface))
        except OSError as error:
            return (
                f"peers cannot ask this node where others are: port 53 of {address}: {error.strerror}; where another "
                "nameserver has it, let that one listen on its own addresses only, or write `serve = false` into "
                "[dns] of node.toml"
            )
        return ""

    # -- what comes

    def _admit(self, source: str) -> bool:
        """Whether a question from this address is read: it has to be that of a peer, or of this machine."""
        directory = self._views.directory
        known = source in directory.by_address or source in directory.here.addresses
        return known and self._questions.take(source)

    def _take(self, port: UdpPort, data: bytes, place: tuple[str, int]) -> None:
        if not self._admit(place[0]):
            if wait := self._questions.all.wait:
                port.pause(wait)
            return
        self._views.chatter.note(place[0], data)
        query = answers.read(data)
        if isinstance(query, bytes):
            self._send(query, port, place)
        elif query is not None and query.opcode() == dns.opcode.NOTIFY:
            self.spawn(self._heed_datagram(query, port, place))
        elif query is not None and self._asks_for_us(query):
            self.spawn(self._say_datagram(query, port, place))
        elif query is not None:
            self._send(self._short(query), port, place)

    def _send(self, answer: bytes, port: UdpPort, place: tuple[str, int]) -> None:
        self._views.chatter.note(place[0], answer)
        port.send(answer, place)

    async def answer(self, data: bytes, source: str) -> bytes | None:
        """The answer to a question by TCP."""
        query = answers.read(data)
        if query is None or isinstance(query, bytes):
            return query
        if query.opcode() == dns.opcode.NOTIFY:
            return await self._heed(query, source)
        if self._asks_for_us(query):
            return await self._say(query, answers.TCP_SIZE)
        view = self._views.now()
        if not answers.is_long(query, view):
            return answers.packed(answers.answer(query, view), answers.TCP_SIZE)
        if not self._questions.take(source, len(view.seen) / LISTED_AT_ONCE):
            return None
        return await asyncio.to_thread(lambda: answers.packed(answers.answer(query, view), answers.TCP_SIZE))

    def _short(self, query: dns.message.Message) -> bytes:
        """The answer to a question by UDP."""
        view = self._views.now()
        if answers.is_long(query, view):
            return answers.cut(query)
        return answers.packed(answers.answer(query, view), answers.largest(query))

    # -- what this node says of itself

    def _asks_for_us(self, query: dns.message.Message) -> bool:
        return bool(query.question[0].name == names.fleet(self._views.directory.zone))

    async def _say_datagram(self, query: dns.message.Message, port: UdpPort, place: tuple[str, int]) -> None:
        self._send(await self._say(query, answers.largest(query)), port, place)

    async def _say(self, query: dns.message.Message, size: int) -> bytes:
        view = evolve(self._views.now(), says=await self._says())
        return answers.packed(answers.answer(query, view), size)

    # -- calls

    async def _heed_datagram(self, query: dns.message.Message, port: UdpPort, place: tuple[str, int]) -> None:
        self._send(await self._heed(query, place[0]), port, place)

    async def _heed(self, query: dns.message.Message, source: str) -> bytes:
        """Answer a notice, and do what it asks for."""
        response = dns.message.make_response(query, our_payload=answers.EDNS_SIZE)
        directory = self._views.directory
        caller = directory.by_address.get(source)
        if caller and commits.is_about(query, directory.zone) and self._calls.take(caller):
            response.flags |= dns.flags.AA
            if commit := commits.read(query, directory.zone):
                self.inbox.put_nowait(Heard(caller, commit))
            commits.add(response, directory.zone, self._views.applied)
            return response.to_wire()
        notice = notices.read(query, directory.keys_of(caller), directory.services) if caller else None
        if caller is None or notice is None or not self._calls.take(caller):
            response.set_rcode(dns.rcode.REFUSED)
            return response.to_wire()
        response.flags |= dns.flags.AA
        if notice.told:
            self._found(caller, notice)
            return response.to_wire()
        self._published.put(caller, notice.own, notice.standing)
        view = await self._views.fresh(caller)  # and the list may be another by now
        about = view.directory.listed.get(notice.about, "")
        if about and about != caller:
            self._pass_on(caller, about, view, notice)
        places = self._places(about, view) if about != caller else _seen(about, view)
        if not places:
            response.set_rcode(dns.rcode.NXDOMAIN)
        said = self._published.standing_of(about) if about else Standing()
        return notices.with_places(response, query.question[0].name, places, said)

    def _found(self, observer: str, notice: Notice) -> None:
        """This node is looked for: so says ``observer``."""
        by = self._views.directory.listed.get(notice.about)
        if by is not None and by != observer and self._sought.take(by):
            self.inbox.put_nowait(Sought(by, observer, notice.told, notice.relayed, notice.direct, notice.standing))

    def _pass_on(self, caller: str, about: str, view: View, notice: Notice) -> None:
        """Tell the peer ``about`` that ``caller`` looks for it, where that one is, and what it says of itself."""
        directory = view.directory
        places, declared = self._places(caller, view), directory.peers[about]
        if not places or not declared.managed or not self._passed.take(about):
            return
        told = notices.notice(
            caller, caller, places, directory.services,
            relayed=notice.relayed, direct=notice.direct, standing=notice.standing,
        )  # fmt: skip
        self.spawn(self._tell(told, declared.probe))

    async def _tell(self, told: bytes, address: str) -> None:
        await exchange.ask(told, address, self._interface, self._views.chatter)

    def _places(self, key: str, view: View) -> tuple[Sighting, ...]:
        """Where a peer was seen, then where it says that it is."""
        return (*_seen(key, view), *self._published.of(key))


def _seen(key: str, view: View) -> tuple[Sighting, ...]:
    return (view.seen[key],) if key in view.seen else ()


def _number(interface: str) -> int:
    with suppress(OSError):
        return socket.if_nametoindex(interface)
    return _NOT_THERE
