"""The nameservers of this machine: which of them answer, how fast and by which way; and the names of the list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from mesh_sync.diagnose.check import Seen, Subject
from mesh_sync.diagnose.trouble import WARNING, Trouble
from mesh_sync.findings import some
from mesh_sync.names.dns_question import ask_nameservers
from mesh_sync.names.nameservers import Answer, Nameserver, Unresolved
from mesh_sync.names.resolv_conf import ResolvConf
from mesh_sync.names.resolve import resolve
from mesh_sync.names.system_names import read_system_names
from mesh_sync.wireguard import ways
from mesh_sync.wireguard.endpoint import Endpoint, address_in

PATIENCE = 2.0
"""Seconds for one nameserver."""
NO_NAME = "mesh-sync.invalid"
"""A name that does not exist (RFC 2606): an answer of any kind shows that a nameserver is there."""
MOST = 64
"""Names that are looked up."""
_SILENT = (Unresolved.SILENCE, Unresolved.FAILURE)


def resolvers(subject: Subject, hosts: Sequence[str] = ()) -> Seen:
    """``hosts``: names to look up besides those of endpoints."""
    system = read_system_names()
    servers = system.conf.nameservers
    answers = asyncio.run(_each(servers, system.conf))
    found = ways.ask(server.address for server in servers)
    facts, troubles, silent = list[str](), list[Trouble](), list[str]()
    for server, (answer, seconds) in zip(servers, answers, strict=True):
        way = found.plain.get(server.address)
        by = f" by {way.device}" if way else ""
        if answer.reason in _SILENT:
            silent.append(server.address)
            text = f"nameserver {server.address}{by}: {answer.problem}"
            fix = f"take it out of /etc/resolv.conf, or look why: dig @{server.address} example.org"
            troubles.append(Trouble("resolver", text, fix, WARNING))
        else:
            facts.append(f"nameserver {server.address}{by} answers in {seconds * 1000:.0f} ms")
    names = list(dict.fromkeys([*filter(_is_name, hosts), *_of_list(subject)]))[:MOST]
    unknown = [answer for answer in resolve(names).values() if not answer.addresses]
    if names and silent and len(silent) == len(servers):
        text = f"no nameserver answers: {some(silent)}"
        troubles = [Trouble("resolver", text, "put one that does into /etc/resolv.conf: nameserver ADDRESS")]
    elif not servers and unknown:
        text = "/etc/resolv.conf names no nameserver"
        troubles.append(Trouble("resolver", text, "put one into it: nameserver ADDRESS"))
    for answer in unknown:
        fix = f"getent ahosts {answer.host}; correct the name in the list, or its DNS"
        troubles.append(Trouble("name", f"{answer.host} cannot be looked up: {answer.problem}", fix, WARNING))
    facts += [f"{len(names) - len(unknown):,} of {len(names):,} names have an address"] if names else []
    return Seen(tuple(facts), tuple(troubles))


async def _each(servers: Sequence[Nameserver], conf: ResolvConf) -> list[tuple[Answer, float]]:
    async def one(server: Nameserver) -> tuple[Answer, float]:
        began = time.monotonic()
        answer = await ask_nameservers(NO_NAME, [server], conf, PATIENCE)
        return answer, time.monotonic() - began

    return await asyncio.gather(*map(one, servers))


def _of_list(subject: Subject) -> list[str]:
    texts = (text for peer in (subject.desired.peers if subject.desired else ()) for text in peer.endpoint)
    return [host for host in (Endpoint.parse(text).host for text in texts) if _is_name(host)]


def _is_name(host: str) -> bool:
    return bool(host) and address_in(host) is None
