"""Who talks to whom directly, and what each tunnel carries.

Peers with `via` hang below their relay; the others, the roots, form the full mesh. A packet climbs to the
root of its source, crosses to the root of its target and descends: every peer sees its parent, its children
and, when it is a root itself, all other roots. What leaves by an exit takes the same way, for peers that use it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from operator import attrgetter

from attrs import frozen

from mesh_sync.mesh.exits import NONE, exit_networks
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.wireguard.endpoint import Address, Network

_name = attrgetter("name")


@frozen(eq=False)
class Neighbour:
    """A peer that has a tunnel of its own, and everything reached through it. The same object for all who see it so.

    ``exits``: those of its allowed IPs that are a default route, at the exit or on the way to it. ``shared``: whether
    more than one may see it so.
    """

    peer: Peer
    allowed_ips: tuple[Network, ...]
    exits: tuple[Network, ...] = ()
    shared: bool = True


@frozen
class Part:
    """A part of a mesh: some of its roots, and some of the networks that a relay leads those below it to."""

    roots: Collection[Peer] = ()
    networks: Collection[Network] = ()


class Topology:
    """The active part of a mesh at one moment. A peer whose relay is missing, off or circular is not in it."""

    def __init__(self, mesh: Mesh, moment: datetime) -> None:
        self.mesh = mesh
        active = {name: peer for name, peer in mesh.peers.items() if peer.active(moment)}
        self.members: Mapping[str, Peer] = {
            name: peer for name, peer in active.items() if _reaches_a_root(peer, active)
        }
        self.children: dict[str, list[Peer]] = {name: [] for name in self.members}
        self.roots: list[Peer] = []
        for peer in self.members.values():
            (self.children[peer.via] if peer.via else self.roots).append(peer)
        self.roots.sort(key=_name)
        self._below: dict[str, Neighbour] = {}
        self._exits: dict[str, tuple[Network, ...]] = {}
        self._towards: dict[tuple[Neighbour, str], Neighbour] = {}
        self.relays: tuple[str, ...] = tuple(peer.name for peer in self.roots if peer.relay and peer.managed)

    def neighbours(self, name: str, part: Part | None = None) -> Iterator[Neighbour]:
        """The peers that ``name`` (a member) has a tunnel with, in order of their names, its relay first.

        With ``part`` only those roots, and only those networks at its relay; the peers below it are all there.
        """
        me = self.members[name]
        exit_ = self.exit_of(name)
        first = self.path(name, exit_)[1] if exit_ else None
        shared = self.shared_by(name)
        if me.via:
            relay = Neighbour(self.members[me.via], self._above(me, part), shared=False)
            yield self._leading(relay, exit_) if exit_ and relay.peer is first else relay
        roots = part.roots if part else self.roots
        near = self.children[name] if me.via else [*roots, *self.children[name]]
        for peer in sorted(near, key=_name):
            if peer is not me:
                found = self.from_above(peer)
                if shared and not shared.isdisjoint(found.allowed_ips):
                    rest = tuple(network for network in found.allowed_ips if network not in shared)
                    found = Neighbour(peer, rest, shared=False)
                yield self._leading(found, exit_) if exit_ and peer is first else found

    def count_neighbours(self, name: str) -> int:
        """How many there are of `neighbours`."""
        return len(self.children[name]) + (1 if self.members[name].via else len(self.roots) - 1)

    def exits(self, name: str) -> tuple[Network, ...]:
        """What a member offers as an exit, not to everybody: to those that use it."""
        if name not in self._exits:
            self._exits[name] = exit_networks(self.members[name])
        return self._exits[name]

    @cached_property
    def _offering(self) -> frozenset[str]:
        """The members that offer an exit."""
        return frozenset(name for name in self.members if self.exits(name))

    def exit_of(self, name: str) -> str | None:
        """The exit that a member uses: its own choice, or the mesh's unless it offers one itself.

        None if it uses none, and if that one is not in the mesh or offers none.
        """
        asked = self.members[name].exit or (None if name in self._offering else self.mesh.exit)
        return asked if asked in self._offering and asked not in (name, NONE) else None

    @cached_property
    def users_of_exits(self) -> Mapping[str, list[str]]:
        """The members that use an exit, by the exit's name."""
        users: dict[str, list[str]] = {}
        for name in sorted(self.members) if self._offering else ():
            if exit_ := self.exit_of(name):
                users.setdefault(exit_, []).append(name)
        return users

    def _leading(self, neighbour: Neighbour, exit_: str) -> Neighbour:
        """A neighbour as those see it that leave by ``exit_`` through it."""
        key, ways = (neighbour, exit_), self.exits(exit_)
        if not neighbour.shared:
            return Neighbour(neighbour.peer, neighbour.allowed_ips + ways, ways, shared=False)
        if key not in self._towards:
            self._towards[key] = Neighbour(neighbour.peer, neighbour.allowed_ips + ways, ways)
        return self._towards[key]

    def below(self, peer: Peer) -> tuple[Network, ...]:
        """What is reached through ``peer`` from above: its own networks and those of the peers below it."""
        return self.from_above(peer).allowed_ips

    def from_above(self, peer: Peer) -> Neighbour:
        """``peer`` as those see it that reach it from above, and not by an exit. Of a network that several peers have,
        the first choice has it here."""
        if peer.name not in self._below:
            below = [self._led(peer)] + [self.below(child) for child in self.children[peer.name]]
            self._below[peer.name] = Neighbour(peer, tuple(network for part in below for network in part))
        return self._below[peer.name]

    def _above(self, me: Peer, part: Part | None) -> tuple[Network, ...]:
        """What a peer reaches through its relay, the relay's own first."""
        relay, below = self.members[me.via or ""], set(self.below(me))
        others = (other for other in self.members.values() if other is not relay)
        whole = (network for peer in (relay, *others) for network in self.own(peer))
        networks: Iterable[Network] = part.networks if part else whole
        return tuple(network for network in dict.fromkeys(networks) if network not in below)

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """What everybody reaches at the members."""
        return tuple(network for peer in self.members.values() for network in self.own(peer))

    @cached_property
    def gateways(self) -> Mapping[Network, tuple[str, ...]]:
        """The networks that several members have, and these by name, the first choice first."""
        holders: dict[Network, list[Peer]] = {}
        for peer in self.members.values():
            for network in self.own(peer)[len(peer.addresses) :] if peer.priority is not None else ():
                holders.setdefault(network, []).append(peer)
        return {
            network: tuple(peer.name for peer in sorted(peers, key=lambda peer: (-(peer.priority or 0), peer.name)))
            for network, peers in holders.items()
            if len(peers) > 1
        }

    def shared_by(self, name: str) -> frozenset[Network]:
        """The networks that a member has as others do: it is in them itself, and sends nothing for them to those."""
        if self.members[name].priority is None:
            return frozenset()
        return frozenset(network for network, names in self.gateways.items() if name in names)

    def _led(self, peer: Peer) -> tuple[Network, ...]:
        """What of a member's own is sent to it unless the live interface says otherwise."""
        if peer.priority is None:
            return self.own(peer)
        return tuple(network for network in self.own(peer) if self.gateways.get(network, (peer.name,))[0] == peer.name)

    def own(self, peer: Peer) -> tuple[Network, ...]:
        """What everybody reaches at a member: its addresses and subnets, without what it offers as an exit."""
        exits = set(self.exits(peer.name))
        return tuple(network for network in own(peer) if network not in exits) if exits else own(peer)

    def can_talk(self, one: Peer, other: Peer) -> bool:
        """Whether packets can pass between two neighbours: one of them has an endpoint, or a relay may carry them."""
        return bool(one.endpoint or other.endpoint or self.relays_of(one.name, other.name))

    def relays_of(self, one: str, other: str) -> tuple[str, ...]:
        """The relays that may carry two members' packets for each other.

        Only for peers that run mesh-sync and have no `via`. A relay itself is reached directly or not at all,
        so that no packet ever passes two of them, or comes back.
        """
        pair = self.members[one], self.members[other]
        return () if any(peer.via or not peer.managed or peer.relay for peer in pair) else self.relays

    @cached_property
    def hidden(self) -> list[Peer]:
        """The roots without an endpoint: two of them meet only if their routers let them, or by a relay."""
        return [peer for peer in self.roots if not peer.endpoint]

    def path(self, source: str, target: str) -> list[Peer]:
        """The peers a packet passes from ``source`` to ``target``, both included."""
        up, down = self._ancestry(source), self._ancestry(target)
        while len(up) > 1 and len(down) > 1 and up[-2:] == down[-2:]:
            up.pop(), down.pop()
        if up[-1] is down[-1]:
            down.pop()
        return up + down[::-1]

    def _ancestry(self, name: str) -> list[Peer]:
        line = [self.members[name]]
        while line[-1].via:
            line.append(self.members[line[-1].via])
        return line

    def is_relay(self, name: str) -> bool:
        """Whether others are reached through ``name``, always or where they cannot meet directly."""
        return bool(self.children[name]) or name in self.relays


def own(peer: Peer) -> tuple[Network, ...]:
    """The peer's addresses as host networks, then its subnets as the mesh sees them."""
    return tuple(map(host_network, peer.addresses)) + peer.announced


def host_network(address: Address) -> Network:
    """An address as the network of that one host."""
    kind = IPv4Network if address.version == 4 else IPv6Network
    return kind((int(address), address.max_prefixlen))


def _reaches_a_root(peer: Peer, active: Mapping[str, Peer]) -> bool:
    passed = {peer.name}
    while peer.via:
        if peer.via in passed or peer.via not in active:
            return False
        passed.add(peer.via)
        peer = active[peer.via]
    return True
