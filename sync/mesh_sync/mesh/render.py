"""One node's view of the mesh: the interface it should have. Pure; `conf` turns it into text, `plan` into changes.

Preshared keys differ for each pair: here a placeholder stands for all of them, `preshared.with_keys` puts them in.
"""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_network

from attrs import evolve

from mesh_sync.mesh.clients import narrowed
from mesh_sync.mesh.model import NO_SECRET, Mesh, Peer
from mesh_sync.mesh.topology import Neighbour, Part, Topology
from mesh_sync.wireguard.desired import Desired, DesiredPeer, soonest
from mesh_sync.wireguard.endpoint import Network


class Renderer:
    """Renders the nodes of one mesh at one moment; a peer that many nodes see alike is made once."""

    def __init__(self, mesh: Mesh, moment: datetime) -> None:
        self.mesh = mesh
        self.topology = Topology(mesh, moment)
        self._valid_until = soonest(peer.ends for peer in self.topology.members.values())
        self._valid_from = max((peer.ends.timestamp() for peer in mesh.expired(moment) if peer.ends), default=None)
        self._networks = frozenset(map(str, mesh.networks))
        self._preshared_key = placeholder(mesh)
        self._relays = frozenset(self.topology.relays)
        self._peers: dict[tuple[Neighbour, int], DesiredPeer] = {}
        self._routes: dict[Neighbour, tuple[str, ...]] = {}

    @property
    def common(self) -> tuple[object, ...]:
        """What of the mesh, besides a peer and those below it, shapes how others see it."""
        return self._preshared_key, self.mesh.networks

    @property
    def names(self) -> list[str]:
        """Every peer that is in the mesh."""
        return sorted(self.topology.members)

    def desired(self, name: str, part: Part | None = None) -> Desired:
        """The interface of member ``name``, without what its own node.toml adds. KeyError if it is no member.

        With ``part`` only the peers and networks that `Topology.neighbours` has with it.
        """
        me = self.topology.members[name]
        keepalive = self.mesh.keepalive_of(me)
        neighbours = tuple(self.topology.neighbours(name, part))
        exits = frozenset(str(network) for neighbour in neighbours for network in neighbour.exits)
        routes = self._networks.union(*map(self._routes_to, neighbours))
        peers = tuple(self._as_exported(me, neighbour, self._peer(neighbour, keepalive)) for neighbour in neighbours)
        if me.export_routes and not me.managed:
            routes = frozenset(ip for peer in peers for ip in peer.allowed_ips)
            exits &= routes
        return Desired(
            mesh=self.mesh.name,
            name=name,
            public_key=me.public_key,
            listen_port=me.listen_port or self.mesh.listen_port,
            mtu=me.mtu or self.mesh.mtu or 0,
            addresses=frozenset(f"{address}/{address.max_prefixlen}" for address in me.addresses),
            routes=routes - exits,
            exit_routes=exits,
            peers=peers,
            relay=self.topology.is_relay(name),
            relays=self._relays if self.topology.relays_of(name, name) else frozenset(),
            valid_until=self._valid_until,
            valid_from=self._valid_from,
            other_key=me.next_public_key or "",
            subnets=frozenset(map(str, me.subnets)),
            gateways=() if me.via else self._gateways(name),
            translated=frozenset((str(network), str(mapped)) for network, mapped in me.translated),
            zone=self.mesh.dns_zone,
            machine=me.machine or "",
            original_name=me.original_name or "",
        )

    def _gateways(self, name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The networks that more than one peer leads to, and those peers; one that is in such a network sends none."""
        found = self.topology.gateways.items()
        return tuple(sorted((str(network), names) for network, names in found if name not in names))

    def seen(self, peer: Peer) -> tuple[object, ...]:
        """A member as all see it that reach it from above, but for their keepalive."""
        neighbour = self.topology.from_above(peer)
        return self._made(neighbour, 0), self._routed(neighbour)

    def _peer(self, neighbour: Neighbour, keepalive: int) -> DesiredPeer:
        if not neighbour.shared:
            return self._made(neighbour, keepalive)
        key = (neighbour, keepalive)
        if key not in self._peers:
            self._peers[key] = self._made(neighbour, keepalive)
        return self._peers[key]

    def _as_exported(self, me: Peer, neighbour: Neighbour, peer: DesiredPeer) -> DesiredPeer:
        """A phone sends its hub all that is for the mesh, so that what it has scanned holds for peers to come, too;
        or, to all of its tunnels, what its own file says."""
        if not me.managed and me.export_routes:
            return evolve(peer, allowed_ips=frozenset(map(str, narrowed(me, neighbour, self.topology))))
        if me.managed or peer.name != me.via:
            return peer
        others = frozenset(ip for ip in peer.allowed_ips if not self._in_mesh(ip_network(ip)))
        return evolve(peer, allowed_ips=self._networks | others)

    def _made(self, neighbour: Neighbour, keepalive: int) -> DesiredPeer:
        peer = neighbour.peer
        return DesiredPeer(
            name=peer.name,
            public_key=peer.public_key,
            addresses=tuple(map(str, peer.addresses)),
            allowed_ips=frozenset(map(str, neighbour.allowed_ips)),
            endpoint=tuple(map(str, peer.endpoint)),
            keepalive=keepalive,
            preshared_key=self._preshared_key,
            next_public_key=peer.next_public_key or "",
            ends=peer.ends.timestamp() if peer.ends else None,
            managed=peer.managed,
            direct_only=bool(peer.via or peer.relay or not peer.managed),
            original_name=peer.original_name or "",
        )

    def _routes_to(self, neighbour: Neighbour) -> tuple[str, ...]:
        """The subnets behind a peer, without exits. Its addresses lie in the mesh's networks, which are routed whole,
        so that nothing meant for a peer ever leaves in the clear."""
        if not neighbour.shared:
            return self._routed(neighbour)
        if neighbour not in self._routes:
            self._routes[neighbour] = self._routed(neighbour)
        return self._routes[neighbour]

    def _routed(self, neighbour: Neighbour) -> tuple[str, ...]:
        exits = set(neighbour.exits)
        return tuple(str(ip) for ip in neighbour.allowed_ips if ip not in exits and not self._in_mesh(ip))

    def _in_mesh(self, network: Network) -> bool:
        """Whether this is the address of a peer: one host in the mesh's networks."""
        if network.prefixlen < network.max_prefixlen:
            return False
        return any(network.network_address in whole for whole in self.mesh.networks)


PLACEHOLDER = "PRESHARED_KEY_OF_THIS_PAIR"
"""Where the secret is not at hand. Like that of the private key, nothing takes it for a key."""


def placeholder(mesh: Mesh) -> str:
    """What stands for every pair's key until the secret is known; differs when the secret does."""
    number = mesh.preshared.secret if mesh.preshared else NO_SECRET
    return f"{PLACEHOLDER}_FROM_SECRET_{number}" if number else ""
