"""What the keys, addresses and networks of a mesh must not share. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mesh_sync.findings import Finding, some
from mesh_sync.mesh.exits import contains, exit_networks, last_of
from mesh_sync.mesh.layout import MESH_FILE
from mesh_sync.mesh.model import Mesh, Peer, reserved
from mesh_sync.wireguard.endpoint import Address, Network

Claim = tuple[Network, Peer, str]
"""A subnet, whose it is, and its key in the file."""
SAME_LAN = "; give two sites with the same network a `nat_subnet` each, two gateways of one network a `priority` each"
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
        (network, peer, _key(peer, index))
        for peer in mesh.peers.values()
        for index, network in enumerate(peer.announced)
    ]
    exits = {peer.name: found for peer in mesh.peers.values() if (found := exit_networks(peer))}
    offered = [claim for claim in claims if claim[0] in exits.get(claim[1].name, ())]
    claims = [claim for claim in claims if claim[0] not in exits.get(claim[1].name, ())]
    for network, peer, key in claims:
        for mine in mesh.networks:
            if contains(mine, network) or contains(network, mine):
                yield Finding(peer.file, key, f"{network} overlaps the mesh's own network {mine}")
    yield from _overlaps(list(_apart(claims)))
    yield from _shared_with_exits(offered, claims)


def _key(peer: Peer, index: int) -> str:
    """Where the file says that the mesh sees this network."""
    if not peer.nat_subnet:
        return f"subnets[{index}]"
    return f"nat_subnet[{index}]" if len(peer.nat_subnet) > 1 else "nat_subnet"


def _shared_with_exits(offered: list[Claim], claims: list[Claim]) -> Iterator[Finding]:
    """An exit may cover what is behind peers, for the longer prefix counts; but the same network is one peer's only."""
    holders = {network: peer for network, peer, _ in claims}
    for network, peer, key in offered:
        if holder := holders.get(network):
            yield Finding(peer.file, key, f"{network}, a part of its exit, is also {holder.name}'s subnet")
    twice = Counter((network, peer.name) for network, peer, _ in offered)
    for network, peer, key in offered:
        if twice[network, peer.name] > 1:
            yield Finding(peer.file, key, f"{network} is listed twice")


def _apart(claims: list[Claim]) -> Iterator[Claim]:
    """Without the claims of further gateways of a network, which `gateways` looks at."""
    holders: dict[Network, list[str]] = {}
    for claim in claims:
        network, peer, _ = claim
        names = holders.setdefault(network, []) if peer.priority is not None else []
        if not names or peer.name in names:
            yield claim
        names.append(peer.name)


def _overlaps(claims: list[Claim]) -> Iterator[Finding]:
    """Sorted by first address, a network overlaps an earlier one only if it begins before that one ends."""
    for version in (4, 6):
        widest: Claim | None = None
        end = -1
        ordered = sorted(
            (claim for claim in claims if claim[0].version == version),
            key=lambda claim: (int(claim[0].network_address), claim[0].prefixlen, claim[1].name),
        )
        for claim in ordered:
            network, peer, key = claim
            if widest and int(network.network_address) <= end:
                whose = "the same peer's" if widest[1] is peer else f"{widest[1].name}'s"
                same_lan = widest[0] == network and widest[1] is not peer and not peer.nat_subnet
                advice = SAME_LAN if same_lan else ""
                yield Finding(peer.file, key, f"{network} overlaps {whose} {widest[0]}{advice}")
            if (last := last_of(network)) > end:
                widest, end = claim, last


def _mtus(mesh: Mesh) -> Iterator[Finding]:
    for peer in mesh.peers.values():
        mtu = peer.mtu or mesh.mtu
        if mtu and mtu < IPV6_MIN_MTU and any(address.version == 6 for address in peer.addresses):
            where = (peer.file, "mtu") if peer.mtu else (MESH_FILE, "mtu")
            yield Finding(*where, f"{mtu} is below {IPV6_MIN_MTU}, which IPv6 needs ({peer.name} has an IPv6 address)")
