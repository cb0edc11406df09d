"""Host names to addresses, as the system does it: for both programs, and done within a deadline.

nsswitch.conf(5) says who is asked, hosts(5) and resolv.conf(5) what. Nothing of the system's resolver runs in this
process, where it could not be ended. `docs/names.md` has the rules.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from attrs import evolve

from mesh_sync.names.dns_question import ask_nameservers
from mesh_sync.names.nameservers import Answer, Nameserver, Unresolved
from mesh_sync.names.nsswitch import Means, Service, Status
from mesh_sync.names.resolv_conf import LOCAL, ipv4
from mesh_sync.names.system_names import SystemNames, ask_module, read_system_names

DEADLINE = 3.0
"""Seconds for one name, and for all names of a run together (rule R10)."""
GUESSED = 0.5
"""Seconds for the nameserver of a machine that names none."""
GRACE = 0.5
"""Seconds after the deadline in which a look-up still says what it knows: on a busy machine it takes a moment."""
AT_ONCE = 64
_WORTH = (Unresolved.NO_NAME, Unresolved.NO_ADDRESS, Unresolved.NO_NAMESERVER, Unresolved.FAILURE, Unresolved.SILENCE)
"""Which of several reasons is the one to tell: the last of these."""


def nameservers() -> tuple[Nameserver, ...]:
    """The nameservers of this machine, as /etc/resolv.conf has them now; 127.0.0.1 if it has none."""
    return read_system_names().nameservers


def resolve(
    hosts: Iterable[str], deadline: float = DEADLINE, servers: Sequence[Nameserver] | None = None
) -> dict[str, Answer]:
    """Look up every name. Never raises; done after ``deadline`` seconds whatever happens.

    Names that come first are asked for first, `AT_ONCE` at a time.
    """
    asked = list(dict.fromkeys(hosts))
    if not asked:
        return {}
    system = read_system_names()
    return asyncio.run(_all(asked, system, system.nameservers if servers is None else servers, deadline))


async def _all(
    hosts: Sequence[str], system: SystemNames, servers: Sequence[Nameserver], deadline: float
) -> dict[str, Answer]:
    answers = {host: Answer(host, reason=Unresolved.SILENCE) for host in hosts}
    slots = asyncio.Semaphore(AT_ONCE)
    end = time.monotonic() + deadline

    async def one(host: str) -> None:
        async with slots:
            answers[host] = await look_up(host, servers, deadline=end - time.monotonic(), system=system)

    with suppress(TimeoutError):
        async with asyncio.timeout(deadline + GRACE):
            await asyncio.gather(*map(one, hosts))
    return answers


async def look_up(
    host: str,
    servers: Sequence[Nameserver],
    *,
    deadline: float = DEADLINE,
    system: SystemNames | None = None,
) -> Answer:
    """Look up one name: IPv4 and IPv6 at once, at ``servers``, the usable ones, the next when one is slow or fails.

    ``system``: the machine's files, if they are read already. A server's mark takes CAP_NET_ADMIN. Never raises; done
    after ``deadline`` seconds whatever happens.
    """
    try:
        if number := ipv4(host):
            return Answer(host, (number,))
        return await _by_services(host, system or read_system_names(), servers, time.monotonic() + deadline)
    except Exception as error:  # whatever a resolver sends: the caller has to hear back
        return Answer(host, reason=Unresolved.FAILURE, detail=f"{type(error).__name__}: {error}")


async def _by_services(host: str, system: SystemNames, servers: Sequence[Nameserver], end: float) -> Answer:
    said: dict[Means | str, tuple[Status, Answer]] = {}
    for service in system.services:
        means = service.means(host, system.hostname)
        key = service.name if means is Means.MODULE else means
        if key not in said:
            said[key] = await _ask(service, host, system, servers, end)
        status, answer = said[key]
        if answer.addresses:
            return answer
        if status in service.final:
            break
    answers = (answer for _, answer in said.values())
    return max(answers, key=lambda answer: _WORTH.index(answer.reason or Unresolved.NO_NAME))


async def _ask(
    service: Service, host: str, system: SystemNames, servers: Sequence[Nameserver], end: float
) -> tuple[Status, Answer]:
    """What one service says of a name."""
    nothing = Answer(host, reason=Unresolved.NO_NAME)
    match service.means(host, system.hostname):
        case Means.FILE:
            found = system.hosts.get(host.lower(), ())
            return (Status.SUCCESS, Answer(host, found)) if found else (Status.NOTFOUND, nothing)
        case Means.DNS:
            answer = await _by_dns(host, system, servers, end)
            return _STATUS.get(answer.reason, Status.TRYAGAIN), answer
        case Means.MODULE:
            return await ask_module(service.name, host, end - time.monotonic())
        case Means.NONE:
            return Status.UNAVAIL, nothing


_STATUS = {
    None: Status.SUCCESS,
    Unresolved.NO_NAME: Status.NOTFOUND,
    Unresolved.NO_ADDRESS: Status.NOTFOUND,
    Unresolved.NO_NAMESERVER: Status.UNAVAIL,
}


async def _by_dns(host: str, system: SystemNames, servers: Sequence[Nameserver], end: float) -> Answer:
    """Ask for the name and its completions in turn. What is said of the name as it is counts, when none is there."""
    conf = system.conf
    guessed = not conf.nameservers and tuple(servers) == (LOCAL,)
    if not servers:
        return Answer(host, reason=Unresolved.NO_NAMESERVER)
    said: dict[str, Answer] = {}
    for name in conf.candidates(host):
        left = end - time.monotonic()
        answer = await ask_nameservers(name, servers, conf, min(left, GUESSED) if guessed else left)
        said[name] = evolve(answer, host=host)
        if answer.addresses:
            return said[name]
        if answer.reason is Unresolved.SILENCE:
            break
    last = said.get(host, said[name])
    return evolve(last, reason=Unresolved.NO_NAMESERVER, detail="") if guessed else last
