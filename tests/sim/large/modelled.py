"""A node that is only modelled: its WireGuard is the simulated one, its watchdog is a few lines that do no more than
answer, follow a relay, open the NAT when it is told who looks for it, and send something after a move."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from attrs import define, field

from sim.large.kinds import RELAY, is_hidden
from sim.underlay import PORT
from sim.world import Node, at

if TYPE_CHECKING:
    from sim.large.mesh import Mesh

ASKS = 25.0
"""It asks its anchors and all relays this often: they see it as long as it is on."""
LATELY = 180.0
PATIENCE = 12.0
"""Seconds after which it takes a peer for silent, and sends to where others see that."""
HOPS = 3


@define(eq=False, repr=False, kw_only=True)
class Modelled(Node):
    """``via``: the relay to which it sends what is for a sampled node; ``changed``: when it was last switched on, or
    moved; ``anchors``: the real choice."""

    mesh: Mesh
    kind: str
    via: dict[str, str] = field(factory=dict)
    changed: float = 0.0
    anchors: frozenset[str] = frozenset()
    met: dict[str, float] = field(factory=dict)

    @property
    def is_on(self) -> bool:
        return self.interface and self.site.works

    def begin(self) -> None:
        """The machine starts: its sessions, and where it was sent to, are gone."""
        for key in list(self.tunnels):
            self.disconnect(key)
        self.via.clear()
        self.interface, self.changed = True, self.world.clock.now
        for key in self.mesh.sampled:
            self.connect(key, self.mesh.where_listed(key))

    def tell_of_move(self) -> None:
        """To those whom it heard lately, and its anchors."""
        self.changed = self.world.clock.now
        for key, tunnel in self.tunnels.items():
            if self.changed - tunnel.alive < LATELY or key in self.anchors:
                tunnel.data("ping")

    def sees(self, other: Modelled) -> bool:
        """Whether another modelled node, which asks this one all the time, was heard."""
        if not (self.kind == RELAY or self.name in other.anchors) or not (self.is_on and other.is_on):
            return False
        quiet = self.world.clock.now - max(self.changed, other.changed, self.mesh.parted_or_healed)
        return quiet > ASKS and not self.mesh.internet.are_parted(self.site, other.site)

    def _shown(self, observer: Modelled) -> str:
        """Where an observer sees it."""
        site, now = self.site, self.world.clock.now
        port = site.leave(at(observer.site.public[4]), now, self.world.chance.randrange(20_000, 60_000))
        return at(site.public[4], port)

    def _sightings(self, key: str) -> list[tuple[str, float, bool]]:
        other = self.mesh.nodes.get(key)
        if not isinstance(other, Modelled):
            return super()._sightings(key)
        return [(other._shown(self), self.world.chance.uniform(0, ASKS), False)] if self.sees(other) else []

    # -- what arrives

    def _inner(self, peer: str, payload: str) -> None:
        word, _, rest = payload.partition(" ")
        match word:
            case "hello" if peer not in self.via:
                self.tunnels[peer].data("thanks")
            case "ping":
                self.via.pop(peer, None)
                self.tunnels[peer].data("pong")
            case "over":
                target, _, what = rest.partition(" ")
                self._forward(peer, target, what)
            case "news":
                self.mesh.gossip.hear(self.name, peer, rest)
            case "which":
                self.tunnels[peer].data(f"news {self.mesh.gossip.applied(self.name)}")
            case _ if payload.startswith("{"):
                self._talk(peer, **json.loads(payload))

    def _forward(self, origin: str, target: str, payload: str) -> None:
        """It is a relay, and carries a packet."""
        other = self.mesh.nodes.get(target)
        if isinstance(other, Modelled):
            is_followed = self.sees(other) and other.via.get(origin) == self.name
            if is_followed and payload == "hello" and origin in self.tunnels:
                self.tunnels[origin].data(f"from {target} thanks")
        elif target in self.tunnels:
            self.tunnels[target].data(f"from {origin} {payload}")

    def _talk(self, peer: str, kind: str, about: str, found: list) -> None:  # type: ignore[type-arg]
        ends = [endpoint for endpoint, _, _ in found]
        if kind in ("search", "follow"):
            self.sought(about, peer, ends)
            return
        if kind not in ("call", "relayed"):
            return
        self.published[peer] = tuple(ends)
        self._tell(peer, "report", about, self._sightings(about))
        if about == peer or about not in self.mesh.nodes:
            return
        other, where = self.mesh.nodes[about], self._sightings(peer)
        if not isinstance(other, Modelled):
            self._tell(about, "follow" if kind == "relayed" else "search", peer, where)
        elif self.sees(other) and kind == "relayed":
            if peer in other.tunnels and self.world.clock.now - other.tunnels[peer].alive > 1.0:
                other.via[peer] = self.name
        elif self.sees(other):
            self.world.clock.after(0.05, lambda: other.sought(peer, self.name, [each for each, _, _ in where]))

    def sought(self, by: str, observer: str, ends: Iterable[str]) -> None:
        """A peer looks for it: open the NAT, say so through the observer, and send."""
        now, tunnel, ends = self.world.clock.now, self.tunnels.get(by), list(ends)
        if not self.is_on or tunnel is None or not ends or now - self.met.get(by, float("-inf")) < 0.9:
            return
        self.met[by] = now
        for end in ends if is_hidden(self.kind) else ():
            self.world.underlay.open(self.site, end, HOPS)
        other = self.mesh.nodes.get(observer)
        if isinstance(other, Modelled) and other.sees(self):
            other._tell(by, "search", self.name, other._sightings(self.name))
        tunnel.data("ping")
        self.world.clock.after(PATIENCE, lambda: self._try(by, now, ends[0]))

    def _try(self, by: str, since: float, end: str) -> None:
        tunnel = self.tunnels.get(by)
        if tunnel and tunnel.heard < since and self.is_on:
            tunnel.endpoint = end
            tunnel.data("ping")


def usual_endpoint(node: Node) -> str:
    """Where a node is that is not behind a NAT."""
    return at(node.site.public[4], PORT)
