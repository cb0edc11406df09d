"""Asking DNS for a peer's addresses: A and AAAA at once, over the underlay, within a deadline (dnspython)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from mesh_sync.errors import CommandError
from mesh_sync.system.files import Stamp, stamp
from mesh_sync.system.run import run
from mesh_sync.wireguard.endpoint import Address, Network
from mesh_watchdog.policy.events import Answer

if TYPE_CHECKING:
    import dns.asyncresolver

DEADLINE = 3.0
"""Seconds for one name (rule R10)."""
PATIENCE = 0.3
"""Seconds one family waits for the other once it has its answer: some resolvers swallow AAAA."""
RESOLV_CONF = Path("/etc/resolv.conf")


@frozen
class Part:
    """What one family's query came to. ``problem`` is empty when the answer is that there is none."""

    addresses: frozenset[Address] = frozenset()
    ttl: float | None = None
    problem: str = ""


class Lookups:
    """Answers questions about names. A family that fails keeps the addresses it had: its silence is no news."""

    def __init__(self) -> None:
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._read: Stamp = None
        self._known: dict[tuple[str, str], frozenset[Address]] = {}
        self.queries = 0
        self.failures = 0

    async def ask(self, host: str, tunnelled: Iterable[Network], mark: int) -> Answer:
        """Look ``host`` up, asking no resolver inside ``tunnelled``; ``mark`` keeps the question out of the tunnel.

        Never raises; done after DEADLINE seconds whatever happens.
        """
        self.queries += 1
        try:
            answer = await (_system(host) if _is_local(host) else self._dns(host, tunnelled, mark))
        except Exception as error:  # whatever a resolver sends: the policy has to hear back
            answer = Answer(host, problem=f"{type(error).__name__}: {error}")
        self.failures += bool(answer.problem)
        return answer

    async def _dns(self, host: str, tunnelled: Iterable[Network], mark: int) -> Answer:
        resolver = self._configured()
        inside = [network for network in tunnelled if network.prefixlen]
        usable = [server for server in resolver.nameservers if not _is_inside(str(server), inside)]
        if not usable:
            text = (
                "every resolver of /etc/resolv.conf is inside the mesh"
                if resolver.nameservers
                else "no resolver is configured"
            )
            return Answer(host, problem=text)
        asked = self._new()
        asked.nameservers = usable
        tasks = {kind: asyncio.create_task(_query(asked, host, kind, mark)) for kind in ("A", "AAAA")}
        try:
            parts = await _both(tasks)
        finally:
            for task in tasks.values():
                task.cancel()
        return self._together(host, parts)

    def _together(self, host: str, parts: dict[str, Part]) -> Answer:
        found: frozenset[Address] = frozenset()
        for kind, part in parts.items():
            if not part.problem:
                self._known[host, kind] = part.addresses
            found |= self._known.get((host, kind), frozenset())
        problems = [part.problem for part in parts.values() if part.problem]
        if len(problems) == len(parts) or not found:
            return Answer(host, problem=next(iter(problems), "it has no address"))
        ttl = min((part.ttl for part in parts.values() if part.ttl is not None), default=0.0)
        return Answer(host, found, max(ttl, 1.0))

    def _configured(self) -> dns.asyncresolver.Resolver:
        """The resolver of /etc/resolv.conf, read again when that has changed."""
        now = stamp(RESOLV_CONF)
        if self._resolver is None or now != self._read:
            import dns.asyncresolver
            import dns.resolver

            self._read = now
            try:
                self._resolver = dns.asyncresolver.Resolver()
            except (dns.resolver.NoResolverConfiguration, OSError):
                self._resolver = self._new()
        return self._resolver

    def _new(self) -> dns.asyncresolver.Resolver:
        import dns.asyncresolver

        made = dns.asyncresolver.Resolver(configure=False)
        made.timeout = DEADLINE / 3
        made.lifetime = DEADLINE
        return made


async def _both(tasks: dict[str, asyncio.Task[Part]]) -> dict[str, Part]:
    """Wait for both, but for the second only a little once the first has found something."""
    done, late = await asyncio.wait(tasks.values(), timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
    if late and done:
        found = any(task.result().addresses for task in done)
        await asyncio.wait(late, timeout=PATIENCE if found else DEADLINE)
    silent = Part(problem="the resolver does not answer")
    return {kind: task.result() if task.done() else silent for kind, task in tasks.items()}


async def _query(resolver: dns.asyncresolver.Resolver, host: str, kind: str, mark: int) -> Part:
    import dns.exception
    import dns.resolver

    from mesh_watchdog.underlay import underlay

    try:
        answer = await resolver.resolve(host, kind, search=False, backend=underlay(mark))
    except dns.resolver.NoAnswer:
        return Part()
    except dns.resolver.NXDOMAIN:
        return Part(problem="the name does not exist")
    except dns.resolver.LifetimeTimeout:
        return Part(problem="the resolver does not answer")
    except (dns.exception.DNSException, OSError) as error:
        return Part(problem=" ".join(str(error).split()) or type(error).__name__)
    addresses = frozenset(ipaddress.ip_address(record.to_text()) for record in answer)
    return Part(addresses, float(answer.chaining_result.minimum_ttl))


def _is_inside(server: str, networks: Iterable[Network]) -> bool:
    address: Any = ipaddress.ip_address(server.partition("%")[0])
    return any(address in network for network in networks)


def _is_local(host: str) -> bool:
    """Names that DNS does not serve."""
    return "." not in host or host.endswith(".local")


async def _system(host: str) -> Answer:
    try:
        text = await asyncio.to_thread(run, ["getent", "ahosts", host], deadline=DEADLINE)
    except CommandError as error:
        return Answer(host, problem="the name does not exist" if error.status == 2 else error.message)
    return Answer(
        host, frozenset(ipaddress.ip_address(line.split()[0]) for line in text.splitlines() if "%" not in line)
    )
