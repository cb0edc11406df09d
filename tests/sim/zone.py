"""DNS: a zone that people update, and resolvers that cache and fail."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from attrs import define, field

from mesh_sync.names.nameservers import Answer, Unresolved
from sim.history import Clock

TIMEOUT = 3.0


@define
class Zone:
    """Names, what they stand for, and for how many seconds that may be cached."""

    names: dict[str, tuple[tuple[str, ...], float]] = field(factory=dict)

    def set(self, host: str, addresses: Iterable[str], ttl: float = 5.0) -> None:
        self.names[host] = tuple(addresses), ttl


@define
class Resolver:
    """One resolver with a cache. ``trouble``: `timeout`, `SERVFAIL`, … instead of answers."""

    clock: Clock
    zone: Zone
    trouble: str = ""
    delay: float = 0.03
    cache: dict[str, tuple[tuple[str, ...], float]] = field(factory=dict)

    def ask(self, host: str, reachable: bool, then: Callable[[Answer], None]) -> None:
        if not reachable or self.trouble == "timeout":
            self.clock.after(TIMEOUT, lambda: then(Answer(host, reason=Unresolved.SILENCE)))
        elif self.trouble:
            self.clock.after(self.delay, lambda: then(Answer(host, reason=Unresolved.FAILURE, detail=self.trouble)))
        else:
            self.clock.after(self.delay, lambda: then(self.lookup(host)))

    def lookup(self, host: str) -> Answer:
        addresses, until = self.cache.get(host, ((), -1.0))
        if until <= self.clock.now:
            if host not in self.zone.names:
                return Answer(host, reason=Unresolved.NO_NAME)
            addresses, ttl = self.zone.names[host]
            until = self.clock.now + ttl
            self.cache[host] = addresses, until
        return Answer(host, tuple(map(ipaddress.ip_address, addresses)), until - self.clock.now)
