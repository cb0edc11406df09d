"""Addresses for a new peer. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mesh_sync.errors import MeshSyncError
from mesh_sync.mesh.model import Mesh
from mesh_sync.wireguard.endpoint import Address, Network


def free_addresses(mesh: Mesh) -> Iterator[Address]:
    """The lowest free address of each of the mesh's networks. Raise MeshSyncError when one is full."""
    taken = {address for peer in mesh.peers.values() for address in peer.addresses}
    for network in mesh.networks:
        yield _free(network, taken)


def _free(network: Network, taken: set[Address]) -> Address:
    for number in range(min(network.num_addresses, len(taken) + 3)):
        address = network[number]
        if address not in taken and not reserved(address, network):
            return address
    raise MeshSyncError(f"{network} has no free address", hint="add a network to mesh.toml")


def reserved(address: Address, network: Network) -> bool:
    """Whether ``address`` names the network (or all of its hosts) and so cannot be a peer's."""
    if network.max_prefixlen - network.prefixlen < 2:
        return False
    broadcast = network.version == 4 and address == network.broadcast_address
    return address == network.network_address or broadcast
