"""Endpoint names to numeric endpoints: all at once, within one deadline, by dnspython.

A name that fails delays only its own peer. Names that DNS does not serve (one label, `.local`) go to the system's
resolver, in a process of its own that can be ended.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from mesh_sync.errors import CommandError
from mesh_sync.system.run import run
from mesh_sync.wireguard.endpoint import Address, Endpoint

DEADLINE = 3.0
"""Seconds for all names together."""
AT_ONCE = 64


@frozen
class Answer:
    """What one name stands for now; without addresses, ``problem`` says why."""

    addresses: tuple[Address, ...] = ()
    problem: str = ""


def resolve(names: Iterable[str], deadline: float = DEADLINE) -> dict[str, Answer]:
    """Look up every name, IPv4 before IPv6. Never raises; done after ``deadline`` seconds whatever happens.

    Names that come first are asked for first, `AT_ONCE` at a time.
    """
    wanted = list(dict.fromkeys(names))
    return asyncio.run(_all(wanted, deadline)) if wanted else {}


async def _all(names: Sequence[str], deadline: float) -> dict[str, Answer]:
    answers = dict.fromkeys(names, Answer(problem=f"no answer within {deadline:g} s"))
    places = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with places:
            answers[name] = await (_system(name, deadline) if _is_local(name) else _dns(name, deadline))

    tasks = [asyncio.create_task(one(name)) for name in names]
    _, late = await asyncio.wait(tasks, timeout=deadline)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return answers


def _is_local(name: str) -> bool:
    return "." not in name or name.endswith(".local")


async def _dns(name: str, deadline: float) -> Answer:
    import dns.asyncresolver
    import dns.exception

    try:
        resolver = dns.asyncresolver.Resolver()
    except (dns.exception.DNSException, OSError) as error:
        return Answer(problem=f"no resolver is configured: {error}")
    resolver.timeout = deadline / 3
    resolver.lifetime = deadline
    found = await asyncio.gather(*(_query(resolver, name, kind) for kind in ("A", "AAAA")))
    addresses = tuple(address for part in found if not isinstance(part, str) for address in part)
    problems = [part for part in found if isinstance(part, str) and part]
    return Answer(addresses, "" if addresses else next(iter(problems), "it has no address"))


async def _query(resolver: object, name: str, kind: str) -> tuple[Address, ...] | str:
    import dns.asyncresolver
    import dns.exception
    import dns.resolver

    assert isinstance(resolver, dns.asyncresolver.Resolver)
    try:
        answer = await resolver.resolve(name, kind, search=False)
    except dns.resolver.NoAnswer:
        return ""
    except dns.resolver.NXDOMAIN:
        return "the name does not exist"
    except dns.resolver.LifetimeTimeout:
        return "the resolver does not answer"
    except (dns.exception.DNSException, OSError) as error:
        return f"{error}" or type(error).__name__
    return tuple(ipaddress.ip_address(record.to_text()) for record in answer)


async def _system(name: str, deadline: float) -> Answer:
    try:
        text = await asyncio.to_thread(run, ["getent", "ahosts", name], deadline=deadline * 0.9)
    except CommandError as error:
        return Answer(problem="the name does not exist" if error.status == 2 else error.message)
    found = {ipaddress.ip_address(line.split()[0]) for line in text.splitlines() if "%" not in line}
    return Answer(tuple(sorted(found, key=lambda address: (address.version, int(address)))))


def choose(endpoints: Sequence[Endpoint], answers: Mapping[str, Answer], tunnelled: Sequence[str]) -> tuple[str, str]:
    """Given a peer's declared endpoints, return the numeric one to use, or ("", why there is none).

    The first address counts that is outside the mesh's own routes and of a family this machine has a route for.
    """
    inside = [ipaddress.ip_network(network) for network in tunnelled if not network.endswith("/0")]
    problems = []
    for endpoint in endpoints:
        answer = Answer((endpoint.address,)) if endpoint.address else answers.get(endpoint.host, Answer())
        if answer.problem:
            problems.append(f"{endpoint.host}: {answer.problem}")
        for address in answer.addresses:
            if address.is_loopback or address.is_unspecified or address.is_multicast:
                problems.append(f"{endpoint.host}: {address} is no address of another machine")
            elif any(address in network for network in inside):
                problems.append(f"{endpoint.host}: {address} lies inside the mesh itself")
            elif not _has_route(address):
                problems.append(f"{endpoint.host}: this machine has no route to {address}")
            else:
                return str(Endpoint(str(address), endpoint.port)), ""
    return "", "; ".join(problems)


def _has_route(address: Address) -> bool:
    """Connecting a UDP socket asks the routing table and sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
    except OSError:
        return False
    return True
