"""What the exported config of an unmanaged peer, such as a phone, sends into its tunnels. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from mesh_sync.mesh.exits import NONE, contains, exit_networks
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.mesh.topology import Neighbour, Topology
from mesh_sync.wireguard.endpoint import Network
from mesh_sync.wireguard.longest_prefix import LongestPrefix


def narrowed(me: Peer, neighbour: Neighbour, topology: Topology) -> Iterator[Network]:
    """The allowed IPs of one tunnel of a member with `export_routes`.

    To its hub it sends them as they stand, so that a wide one holds for networks to come; to any other peer as much of
    them as lies there. What is at a peer is never sent to an exit as well: an allowed IP belongs to one tunnel only.
    """
    if neighbour.peer.name == me.via:
        below = set(topology.below(me))
        yield from (route for route in me.export_routes if route not in below)
        return
    exits = set(neighbour.exits)
    for network in neighbour.allowed_ips:
        for route in me.export_routes:
            if contains(route, network):
                yield network
            elif contains(network, route) and not (network in exits and _is_at_a_peer(route, topology)):
                yield route


class Reach:
    """What peers reach through the mesh as far as the list declares it, also where a peer is off at the moment.

    For lists without errors, in which no two of these networks overlap.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.addresses = {address for peer in mesh.peers.values() for address in peer.addresses}
        self._owners = dict.fromkeys(mesh.networks, "")
        for peer in mesh.peers.values():
            self._owners |= dict.fromkeys(set(peer.subnets).difference(exit_networks(peer)), peer.name)
        self._index = LongestPrefix((network, network) for network in self._owners)
        self._starts: dict[int, list[int]] = {4: [], 6: []}
        for network in sorted(self._owners, key=_start):
            self._starts[network.version].append(_start(network))

    def holds(self, network: Network, peer: Peer) -> bool:
        """Whether all of a network is the mesh's own, or behind another peer than this one."""
        found = self._index.find(network.network_address)
        return bool(found and contains(found[0], network) and self._owners[found[0]] != peer.name)

    def meets(self, network: Network, peer: Peer) -> bool:
        """The same of a part of it."""
        if peer.subnets:
            others = (one for one, owner in self._owners.items() if owner != peer.name)
            return any(contains(network, one) or contains(one, network) for one in others)
        starts, first = self._starts[network.version], _start(network)
        at = bisect_left(starts, first)
        inside = at < len(starts) and starts[at] < first + network.num_addresses
        return inside or self._index.find(network.network_address) is not None


def exit_of(mesh: Mesh, peer: Peer) -> tuple[str, tuple[Network, ...]]:
    """The exit that the list gives a peer, and what it carries there, also where it is off; empty if there is none."""
    asked = peer.exit or (NONE if exit_networks(peer) else mesh.exit) or NONE
    found = mesh.peers.get(asked)
    return (asked, exit_networks(found)) if found and found is not peer else ("", ())


def _start(network: Network) -> int:
    return int(network.network_address)


def _is_at_a_peer(route: Network, topology: Topology) -> bool:
    return any(contains(network, route) for network in (*topology.mesh.networks, *topology.networks))
