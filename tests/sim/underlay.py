"""The internet between the nodes: addresses, NATs, links, loss. Packets are values."""

from __future__ import annotations

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
    answers, unless it ``forward``s the port. ``gagged``: since it got a new address nothing goes out before something
    came in (a stale entry in its router).
    """

    public: dict[int, str]
    nat: bool = False
    forward: bool = False
    lifetime: float = 60.0
    link: bool = True
    upstream: bool = True
    gagged: bool = False
    port: int = PORT
    mappings: dict[str, float] = field(factory=dict)
    receive: Callable[[Packet, str], None] = lambda packet, source: None

    @property
    def works(self) -> bool:
        return self.link and self.upstream

    def renumber(self, public: dict[int, str], *, gagged: bool = False) -> None:
        self.public = public
        self.mappings.clear()
        self.gagged = gagged
        if self.nat and not self.forward:
            self.port += 1


@define
class Underlay:
    """Carries packets between sites. ``holes``: addresses that swallow everything."""

    clock: Clock
    chance: random.Random
    sites: list[Site] = field(factory=list)
    holes: set[str] = field(factory=set)
    loss: float = 0.0
    latency: float = 0.02

    def send(self, site: Site, packet: Packet, to: str) -> None:
        target = Endpoint.parse(to)
        assert target.address is not None
        source = site.public.get(target.address.version)
        if source is None or not site.works or site.gagged or self.chance.random() < self.loss:
            return
        site.mappings[to] = self.clock.now + site.lifetime
        shown = str(Endpoint(source, site.port))
        self.clock.after(self.latency, lambda: self._arrive(packet, shown, target, to))

    def _arrive(self, packet: Packet, source: str, target: Endpoint, to: str) -> None:
        for site in self.sites:
            if target.host not in site.public.values() or target.host in self.holes or not site.works:
                continue
            answered = target.port == site.port and site.mappings.get(source, -1.0) >= self.clock.now
            if target.port == site.port and (not site.nat or site.forward or answered):
                site.gagged = False
                site.mappings[source] = self.clock.now + site.lifetime
                site.receive(packet, source)
