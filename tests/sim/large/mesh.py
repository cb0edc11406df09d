"""A mesh of thousands of nodes, of which some have the real policy (`Sampled`)."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from mesh_watchdog.policy import anchors
from mesh_watchdog.policy.observations import Declared
from sim.large.figures import Figures
from sim.large.gossip import Gossip
from sim.large.internet import Internet
from sim.large.kinds import EASY, HARD, NAMED, PUBLIC, RELAY, TTL, is_hidden, listed, some_kind
from sim.large.modelled import ASKS, Modelled
from sim.large.sampled import Sampled
from sim.underlay import PORT, Site
from sim.world import World, at
from sim.zone import Resolver

RELAYS = 5
SAMPLED = (PUBLIC, EASY, NAMED, HARD)
DNS_LATE = 30.0
"""Seconds after a move until DNS knows of it."""


class Mesh:
    """``nodes``: all that are in the newest list; ``keys``: the modelled and sampled ones by name; ``sampled``: by
    name; ``parted_or_healed``: when the network last fell apart, or healed."""

    def __init__(self, seed: int, nodes: int, sampled: tuple[str, ...] = SAMPLED, *, relays: int = RELAYS) -> None:
        self.seed, self.chance = seed, random.Random(seed)
        self.world = World(seed)
        self.world.underlay = self.internet = Internet(self.world.clock, self.world.chance)
        self.nodes: dict[str, Modelled | Sampled] = {}
        self.sampled: dict[str, Sampled] = {}
        self.declared: dict[str, Declared] = {}
        self.parted_or_healed = self.relays_changed = 0.0
        self._number = 0
        self.figures = Figures(self)
        for number, kind in enumerate(sampled):
            self.add(kind, f"{kind}{number}")
        self.relays = [self.add(RELAY, f"relay{number}") for number in range(relays)]
        while len(self.nodes) < nodes:
            self.add(some_kind(self.chance))
        self.gossip = Gossip(self)
        for name, node in self.nodes.items():
            self.gossip.join(name, 0)
            if isinstance(node, Modelled):
                node.begin()
        for name, one in self.sampled.items():
            one.begin(self.gossip.list_of(name))
        for node in list(self.nodes.values()):
            self.with_anchors(node)

    # -- its clock

    @property
    def now(self) -> float:
        return self.world.clock.now

    def after(self, delay: float, do: Callable[[], Any]) -> None:
        self.world.clock.after(delay, do)

    # -- its nodes

    def add(self, kind: str, name: str = "") -> Modelled | Sampled:
        """A node that is not in the list yet is in `nodes` and `declared` from now on."""
        self._number += 1
        is_sampled, name = name.startswith(kind) and kind != RELAY, name or f"n{self._number}"
        site = Site({}, is_hidden(kind), hard=kind == HARD)
        self.internet.settle(site)
        made = (Sampled if is_sampled else Modelled)(
            name, self.world, site, Resolver(self.world.clock, self.world.zone), mesh=self, kind=kind
        )
        site.receive = made.receive
        self.nodes[name] = made
        self.declared[name] = listed(name, kind, self._number, site)
        if kind == NAMED:
            self.world.zone.set(f"{name}.example", [site.public[4]], TTL)
        if isinstance(made, Sampled):
            self.sampled[name] = made
        self.keys = list(self.nodes)
        return made

    def with_anchors(self, node: Modelled | Sampled) -> None:
        """From now on it asks those of its anchors that are sampled nodes."""
        if not isinstance(node, Modelled):
            return
        node.anchors = frozenset(anchors.order(self.list(), node.name)[: anchors.ANCHORS])
        for key in node.anchors & self.sampled.keys():
            self.after(zlib.crc32(node.name.encode()) % ASKS, partial(self._ask, node, key))

    def _ask(self, node: Modelled, key: str) -> None:
        if node.name in self.nodes:
            if node.is_on and key in node.tunnels and key not in node.via:
                node.tunnels[key].data("ping")
            self.after(ASKS, lambda: self._ask(node, key))

    def where_listed(self, key: str) -> str:
        """The endpoint that mesh-sync gives a peer: as the list has it, and DNS by now."""
        declared = self.declared[key]
        if not declared.endpoint:
            return ""
        host = declared.endpoint[0].host
        return at(self.world.zone.names[host][0][0] if host in self.world.zone.names else host, PORT)

    def move(self, node: Modelled | Sampled) -> None:
        """It has another address, or its router has."""
        self.internet.settle(node.site)
        node.changed = self.now
        if node.kind == NAMED:
            address = node.site.public[4]
            self.after(DNS_LATE, lambda: self.world.zone.set(f"{node.name}.example", [address], TTL))
        if isinstance(node, Modelled):
            self.after(1.0, node.tell_of_move)
        elif not node.site.nat:
            node.moved()

    def remove(self, node: Modelled | Sampled) -> None:
        """It is in no later list, and gone."""
        self.switch_off(node)
        self.nodes.pop(node.name)
        self.keys = list(self.nodes)
        self.gossip.leave(node.name)

    def list(self) -> dict[str, Declared]:
        """The newest list, as an admin has it."""
        return {name: self.declared[name] for name in self.nodes}

    def switch_off(self, node: Modelled | Sampled) -> None:
        node.interface, node.changed = False, self.now
        self._noted(node)

    def switch_on(self, node: Modelled | Sampled) -> None:
        if node.name not in self.nodes:
            return
        if isinstance(node, Sampled):
            node.begin(self.gossip.list_of(node.name))
        else:
            node.begin()
        self._noted(node)
        self.gossip.wake(node.name)

    def _noted(self, node: Modelled | Sampled) -> None:
        if node.kind == RELAY:
            self.relays_changed = self.now

    # -- what is found

    def has_path(self, one: Sampled, other: Modelled | Sampled) -> bool:
        """Whether the two can reach each other, directly or through a relay. Without any relays, two easy NATs can."""
        if not (one.is_on and other.is_on) or self.internet.are_parted(one.site, other.site):
            return False
        if not (is_hidden(one.kind) and is_hidden(other.kind)):
            return True
        if not self.relays:
            return one.kind == other.kind == EASY
        return any(each.is_on and not self.internet.are_parted(each.site, one.site) for each in self.relays)

    def disturbed(self, one: Sampled, other: Modelled | Sampled) -> float:
        """When something last happened that matters to this pair."""
        return max(one.changed, other.changed, self.parted_or_healed, self.relays_changed)

    def lagging(self) -> Iterator[str]:
        """The nodes that are on, and do not have the newest commit."""
        for name, index in self.gossip.has.items():
            if self.nodes[name].is_on and index < self.gossip.newest:
                yield name

    def traffic(self) -> dict[str, tuple[float, float]]:
        """Bytes a second that each sampled node received and sent by the tunnels it has now."""
        found = {}
        for name, one in self.sampled.items():
            tunnels = one.tunnels.values()
            asleep = one.slept + (self.now - one.lay_down if one.asleep else 0.0)
            spent = max(1.0, self.now - one.born - asleep)
            found[name] = (sum(each.rx for each in tunnels) / spent, sum(each.tx for each in tunnels) / spent)
        return found
