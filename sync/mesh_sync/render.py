"""One node's view of the mesh: the interface it should have. Pure; `conf` turns it into text, `plan` into changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from mesh_sync.model import Mesh, Network
from mesh_sync.topology import Neighbour, Topology
from mesh_sync.wanted import DEFAULT_MTU, Wanted, WantedPeer, soonest


class Renderer:
    """Renders the nodes of one mesh at one moment; a peer that many nodes see alike is made once."""

    def __init__(self, mesh: Mesh, moment: datetime) -> None:
        self.mesh = mesh
        self.topology = Topology(mesh, moment)
        self._valid_until = soonest(peer.ends for peer in self.topology.members.values())
        self._peers: dict[tuple[str, tuple[Network, ...], int], WantedPeer] = {}

    @property
    def names(self) -> list[str]:
        """Every peer that is in the mesh."""
        return sorted(self.topology.members)

    def wanted(self, name: str) -> Wanted:
        """The interface of member ``name``, without what its own node.toml adds. KeyError if it is no member."""
        me = self.topology.members[name]
        keepalive = self.mesh.keepalive_of(me)
        neighbours = tuple(self.topology.neighbours(name))
        return Wanted(
            mesh=self.mesh.name,
            name=name,
            public_key=me.public_key,
            listen_port=me.listen_port or self.mesh.listen_port,
            mtu=me.mtu or self.mesh.mtu or DEFAULT_MTU,
            addresses=frozenset(f"{address}/{address.max_prefixlen}" for address in me.addresses),
            routes=frozenset(map(str, self._routes(neighbours))),
            peers=tuple(self._peer(neighbour, keepalive) for neighbour in neighbours),
            relay=self.topology.is_relay(name),
            valid_until=self._valid_until,
        )

    def _peer(self, neighbour: Neighbour, keepalive: int) -> WantedPeer:
        peer = neighbour.peer
        key = (peer.name, neighbour.allowed_ips, keepalive)
        if key not in self._peers:
            self._peers[key] = WantedPeer(
                name=peer.name,
                public_key=peer.public_key,
                addresses=tuple(map(str, peer.addresses)),
                allowed_ips=frozenset(map(str, neighbour.allowed_ips)),
                endpoint=tuple(map(str, peer.endpoint)),
                keepalive=keepalive,
            )
        return self._peers[key]

    def _routes(self, neighbours: tuple[Neighbour, ...]) -> Iterator[Network]:
        """The mesh's networks whole, so that nothing meant for a peer ever leaves in the clear; and the subnets."""
        yield from self.mesh.networks
        for neighbour in neighbours:
            for network in neighbour.allowed_ips:
                if network.prefixlen < network.max_prefixlen or not self._in_mesh(network):
                    yield network

    def _in_mesh(self, host: Network) -> bool:
        return any(host.network_address in network for network in self.mesh.networks)
