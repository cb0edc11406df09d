"""Asks a router for a mapping, by one protocol after the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from attrs import evolve, frozen

from mesh_sync.errors import MeshSyncError
from mesh_sync.system.run import is_installed, run
from mesh_watchdog.port_mapping import nat_pmp, pcp, upnpc
from mesh_watchdog.port_mapping.answers import Answer, Granted, Refused, Why, is_translated
from mesh_watchdog.port_mapping.renewal import LIFETIME
from mesh_watchdog.port_mapping.router import Router, nonce, questions_to

PATIENCE = (0.25, 0.5, 1.0, 2.0)
"""Seconds for an answer to the first, second, ... datagram. RFC 6886 goes on for a minute; a router at home is near."""
MOST_DATAGRAMS = 64
"""Datagrams that are read while one answer is waited for."""
DEADLINE = 10.0
"""Seconds for `upnpc`, which waits 2 s for routers to answer."""

T = TypeVar("T")


@frozen
class Held:
    """A mapping and what it takes to renew or remove it: ``by`` a protocol, the `pcp.Request` or the URL (UPnP)."""

    granted: Granted
    by: str
    request: pcp.Request | None = None
    url: str = ""


async def for_mapping(router: Router, held: Held | None) -> Held | Refused:
    """Ask for a mapping, first by the protocol of the one that is held."""
    ways = {"PCP": _by_pcp, "NAT-PMP": _by_nat_pmp, "UPnP": _by_upnp}
    best, first = Refused(Why.SILENT), held.by if held else ""
    for by in sorted(ways, key=lambda name: name != first):
        found = await ways[by](router, held if held and by == first else None)
        if isinstance(found, Held):
            if not is_translated(found.granted.address):
                return found
            await remove(router, found)
            found = Refused(Why.CARRIER)
        if found.why is Why.CARRIER:
            return found
        if best.why in (Why.SILENT, Why.VERSION):
            best = found
    return best


async def remove(router: Router, held: Held) -> None:
    """Give a mapping back. If the router does not answer, the mapping ends by itself."""
    if asked := held.request:
        await _answered(router, pcp.request(asked, 0), lambda data: pcp.answer(data, asked), 2)
    elif held.url:
        await _upnpc(upnpc.remove(held.url, router.own, held.granted.port))
    else:
        at, port = held.granted.address, router.port
        gone = nat_pmp.request(port, 0, 0)
        await _answered(router, gone, lambda data: nat_pmp.mapping(data, port, at), 2)


async def _by_pcp(router: Router, held: Held | None) -> Held | Refused:
    wish = (held.granted.address, held.granted.port) if held else None
    asked = pcp.Request(nonce(router), router.own, router.port, wish)
    said = await _answered(router, pcp.request(asked, LIFETIME), lambda data: pcp.answer(data, asked))
    return _held(said, "PCP", request=evolve(asked, wish=None))


async def _by_nat_pmp(router: Router, held: Held | None) -> Held | Refused:
    """The address first: behind a carrier's NAT, nothing is mapped at all."""
    at = await _answered(router, nat_pmp.ASK_ADDRESS, nat_pmp.address)
    if not isinstance(at, tuple):
        return at or Refused(Why.SILENT)
    if is_translated(at[0]):
        return Refused(Why.CARRIER)
    wish = held.granted.port if held else router.port
    said = await _answered(
        router, nat_pmp.request(router.port, wish, LIFETIME), lambda data: nat_pmp.mapping(data, router.port, at[0])
    )
    return _held(said, "NAT-PMP")


async def _by_upnp(router: Router, held: Held | None) -> Held | Refused:
    """If another machine has the port, ask for one that is made up; that machine may run this program too."""
    if not is_installed(upnpc.PROGRAM):
        return Refused(Why.SILENT)
    if held and (said := await _added(router, held.url, held.granted.port)):
        return said
    url = upnpc.described(await _upnpc(upnpc.search(router.own)), router.gateway)
    if not url:
        return Refused(Why.SILENT)
    made_up = 49152 + int.from_bytes(nonce(router)[:2], "big") % 16384
    for port in (router.port, made_up):
        if said := await _added(router, url, port):
            return said
    return Refused(Why.REFUSED)


async def _added(router: Router, url: str, external: int) -> Held | None:
    told = await _upnpc(upnpc.add(url, router.own, router.port, external))
    said = upnpc.added(told, router.own, router.port)
    return Held(said, "UPnP", url=url) if said else None


def _held(said: Answer | None, by: str, request: pcp.Request | None = None) -> Held | Refused:
    if isinstance(said, Granted):
        return Held(said, by, request) if said.lifetime else Refused(Why.REFUSED)
    return said or Refused(Why.SILENT)


async def _upnpc(argv: list[str]) -> str:
    """What `upnpc` prints; empty if it fails, as it does where no router answers."""
    try:
        return await asyncio.to_thread(run, argv, deadline=DEADLINE, most=upnpc.MOST)
    except MeshSyncError:
        return ""


async def _answered(router: Router, request: bytes, read: Callable[[bytes], T], tries: int | None = None) -> T | None:
    """Send the request until ``read`` accepts an answer; None if there is none, or the port is closed."""
    loop = asyncio.get_running_loop()
    try:
        with questions_to(router) as asking:
            for seconds in PATIENCE[:tries]:
                await loop.sock_sendall(asking, request)
                with contextlib.suppress(asyncio.TimeoutError):
                    async with asyncio.timeout(seconds):
                        for _ in range(MOST_DATAGRAMS):
                            if (found := read(await loop.sock_recv(asking, 2048))) is not None:
                                return found
    except OSError:  # nothing listens there, or the network has just gone
        return None
    return None
