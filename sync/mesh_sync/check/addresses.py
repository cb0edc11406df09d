"""What the keys, addresses and networks of a mesh must not share. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mesh_sync.findings import Finding, some
from mesh_sync.mesh.layout import MESH_FILE
from mesh_sync.mesh.model import Mesh, Peer, reserved
from mesh_sync.wireguard.endpoint import Address, Network

IPV6_MIN_MTU = 1280
"""Bytes (RFC 8200, section 5)."""


def addresses(mesh: Mesh) -> Iterator[Finding]:
    """Keys and addresses that two peers have, networks that overlap, an MTU too small for IPv6."""
    for rule in (_networks, _keys, _addresses, _subnets, _mtus):
        yield from rule(mesh)


def _networks(mesh: Mesh) -> Iterator[Finding]:
    for index, network in enumerate(mesh.networks):
        if not network.prefixlen:
            yield Finding(MESH_FILE, f"networks[{index}]", f"{network} covers every address; name the mesh's own range")
        for other in mesh.networks[:index]:
            if other.version == network.version and other.overlaps(network):
                yield Finding(MESH_FILE, f"networks[{index}]", f"{network} overlaps {other}")


def _keys(mesh: Mesh) -> Iterator[Finding]:
    holders: dict[str, tuple[Peer, str]] = {}
    for peer in mesh.peers.values():
        for key, value in (("public_key", peer.public_key), ("next_public_key", peer.next_public_key)):
            if value is None:
                continue
            first, first_key = holders.setdefault(value, (peer, key))
            if (first, first_key) != (peer, key):
                yield Finding(peer.file, key, f"is also the {first_key} of {first.name}")


def _addresses(mesh: Mesh) -> Iterator[Finding]:
    holders: dict[Address, Peer] = {}
    for peer in mesh.peers.values():
        for index, address in enumerate(peer.addresses):
            key = f"addresses[{index}]"
            network = next((network for network in mesh.networks if address in network), None)
            if network is None and mesh.networks:
                yield Finding(peer.file, key, f"{address} lies in none of the mesh's networks ({some(mesh.networks)})")
            elif network and reserved(address, network):
                yield Finding(peer.file, key, f"{address} is the network or broadcast address of {network}")
            first = holders.get(address)
            holders[address] = first or peer
            if first is peer:
                yield Finding(peer.file, key, f"{address} is listed twice")
            elif first:
                yield Finding(peer.file, key, f"{address} is also an address of {first.name}")


def _subnets(mesh: Mesh) -> Iterator[Finding]:
    claims = [
        (network, peer, f"subnets[{index}]")
        for peer in mesh.peers.values()
        for index, network in enumerate(peer.subnets)
    ]
    for network, peer, key in claims:
        if network.prefixlen:
            for mine in mesh.networks:
                if mine.version == network.version and mine.overlaps(network):
                    yield Finding(peer.file, key, f"{network} overlaps the mesh's own network {mine}")
    yield from _overlaps(claims)


def _overlaps(claims: list[tuple[Network, Peer, str]]) -> Iterator[Finding]:
    """Sorted by first address, a network overlaps an earlier one only if it begins before that one ends."""
    for version in (4, 6):
        default: tuple[Network, Peer, str] | None = None
        widest: tuple[Network, Peer, str] | None = None
        ordered = sorted(
            (claim for claim in claims if claim[0].version == version),
            key=lambda claim: (int(claim[0].network_address), claim[0].prefixlen, claim[1].name),
        )
        for claim in ordered:
            network, peer, key = claim
            earlier = widest if network.prefixlen else default
            if earlier and earlier[0].overlaps(network):
                whose = "the same peer's" if earlier[1] is peer else f"{earlier[1].name}'s"
                yield Finding(peer.file, key, f"{network} overlaps {whose} {earlier[0]}")
            if not network.prefixlen:
                default = claim
            elif widest is None or int(network.broadcast_address) > int(widest[0].broadcast_address):
                widest = claim


def _mtus(mesh: Mesh) -> Iterator[Finding]:
    for peer in mesh.peers.values():
        mtu = peer.mtu or mesh.mtu
        if mtu and mtu < IPV6_MIN_MTU and any(address.version == 6 for address in peer.addresses):
            where = (peer.file, "mtu") if peer.mtu else (MESH_FILE, "mtu")
            yield Finding(*where, f"{mtu} is below {IPV6_MIN_MTU}, which IPv6 needs ({peer.name} has an IPv6 address)")
