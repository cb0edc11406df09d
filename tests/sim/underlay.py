"""The internet between the nodes: addresses, NATs, links, loss. Packets are values."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable

from attrs import define, field, frozen

from mesh_sync.wireguard.endpoint import Endpoint
from sim.history import Clock

PORT = 51820


@frozen(kw_only=True)
class Packet:
    """One WireGuard message. ``stamp`` is the sender's wall clock, ``session`` an arbitrary number."""

    kind: str
    sender: str
    receiver: str
    size: int
    session: int = 0
    payload: str = ""
    stamp: float = 0.0


@define
class Site:
    """Where a node is connected.

    ``public``: its address by IP version; ``nat``: the machine has others behind it, and the router lets in only
    answers, from the very port, unless it ``forward``s the port; ``hard``: each destination sees another port of it;
    ``inner``: addresses that the machine has behind it; ``layers``: how many such routers there are one behind the
    other; ``accepts``: what is unsolicited is taken for a flow of the router's own, and whoever sends there later
    gets another port. ``gagged``: since it got a new address nothing goes out before something came in (a stale entry
    in its router).
    """

    public: dict[int, str]
    nat: bool = False
    forward: bool = False
    lifetime: float = 60.0
    link: bool = True
    upstream: bool = True
    gagged: bool = False
    port: int = PORT
    hard: bool = False
    layers: int = 1
    inner: tuple[ipaddress.IPv4Address, ...] = ()
    accepts: bool = False
    mappings: dict[str, float] = field(factory=dict)
    ports: dict[str, int] = field(factory=dict)
    taken: dict[str, float] = field(factory=dict)
    receive: Callable[[Packet, str], None] = lambda packet, source: None

    @property
    def works(self) -> bool:
        return self.link and self.upstream

    def leave(self, to: str, now: float, another: int) -> int:
        """A packet leaves for ``to``: return from which port. ``another`` one is taken where this one cannot be."""
        if self.mappings.get(to, -1.0) < now:
            self.ports.pop(to, None)
        self.mappings[to] = now + self.lifetime
        if self.nat and (self.hard or self.taken.get(to, -1.0) >= now):
            return self.ports.setdefault(to, another)
        return self.ports.get(to, self.port)

    def lets_in(self, source: str, port: int, now: float) -> bool:
        """Whether a packet to one of its ports gets through to the machine."""
        if not self.nat or (self.forward and port == self.port):
            passes = port == self.port
        else:
            passes = self.mappings.get(source, -1.0) >= now and self.ports.get(source, self.port) == port
            if self.accepts and not passes and port == self.port and self.mappings.get(source, -1.0) < now:
                self.taken[source] = now + 30.0
        if passes:
            self.mappings[source] = now + self.lifetime
        return passes

    def renumber(self, public: dict[int, str], *, gagged: bool = False) -> None:
        self.public = public
        self.mappings.clear()
        self.ports.clear()
        self.taken.clear()
        self.gagged = gagged
        if self.nat and not self.forward:
            self.port += 1


@define
class Underlay:
    """Carries packets between sites.

    ``holes``: addresses that swallow everything; ``island``: sites, by `id`, that reach each other and no others;
    ``sent``: how many packets there were.
    """

    clock: Clock
    chance: random.Random
    sites: list[Site] = field(factory=list)
    holes: set[str] = field(factory=set)
    loss: float = 0.0
    latency: float = 0.02
    island: set[int] = field(factory=set)
    sent: int = 0

    def send(self, site: Site, packet: Packet, to: str) -> None:
        self.sent += 1
        target = Endpoint.parse(to)
        assert target.address is not None
        source = site.public.get(target.address.version)
        if source is None or not site.works or site.gagged or self.chance.random() < self.loss:
            return
        shown = str(Endpoint(source, site.leave(to, self.clock.now, self.chance.randrange(20_000, 60_000))))
        self.clock.after(self.latency, lambda: self._arrive(packet, site, shown, target))

    def open(self, site: Site, to: str, ttl: int) -> None:
        """A packet that ends on the way; it opens what it has passed. All ways are longer than it lives."""
        target = Endpoint.parse(to)
        if target.address and target.address.version in site.public and site.works and ttl > site.layers:
            site.leave(to, self.clock.now, self.chance.randrange(20_000, 60_000))

    def _arrive(self, packet: Packet, origin: Site, source: str, target: Endpoint) -> None:
        for site in self.sites:
            if (id(origin) in self.island) != (id(site) in self.island):
                continue
            if target.host not in site.public.values() or target.host in self.holes or not site.works:
                continue
            if site.lets_in(source, target.port, self.clock.now):
                site.gagged = False
                site.receive(packet, source)
