"""Peers that lead to the same network, each with a `priority`. Pure.

That one of them lacks a priority is for `addresses`: then two peers have the same network.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh_sync.findings import Finding
from mesh_sync.mesh.exits import exit_networks
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.wireguard.endpoint import Network


def gateways(mesh: Mesh) -> Iterator[Finding]:
    """Two with one priority, two that mean different networks by one, and one whose life only its relay sees."""
    holders: dict[Network, list[Peer]] = {}
    for peer in mesh.peers.values():
        exits = exit_networks(peer) if peer.priority is not None else ()
        for network in peer.announced if peer.priority is not None else ():
            if network not in exits:
                holders.setdefault(network, []).append(peer)
    for network, peers in holders.items():
        if len(peers) > 1:
            yield from _of_one(network, peers)


def _of_one(network: Network, peers: list[Peer]) -> Iterator[Finding]:
    first: dict[int | None, Peer] = {}
    for peer in peers:
        other = first.setdefault(peer.priority, peer)
        if other is not peer:
            text = f"is also that of {other.name}, which leads to {network} as well: which of them comes first?"
            yield Finding(peer.file, "priority", text)
        if peer.via:
            others = ", ".join(other.name for other in peers if other is not peer)
            text = f"{peer.name} shares {network} with {others}, and only {peer.via} would see whether it is alive"
            yield Finding(peer.file, "via", text)
        if (here := _behind(network, peer)) != (there := _behind(network, peers[0])):
            text = f"{network} is {here} here and {there} at {peers[0].name}, which leads to it as well"
            yield Finding(peer.file, "nat_subnet", text)


def _behind(network: Network, peer: Peer) -> Network:
    """What a network that the mesh sees is on the spot."""
    return next((one for one, mapped in peer.translated if mapped == network), network)
