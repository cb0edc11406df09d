"""What `nat_subnet` may say: for each of the peer's subnets, the network that the mesh sees instead. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from operator import itemgetter

from mesh_sync.findings import WARNING, Finding
from mesh_sync.mesh.exits import exit_networks
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.wireguard.endpoint import Network
from mesh_sync.wireguard.longest_prefix import LongestPrefix


def translations(mesh: Mesh) -> Iterator[Finding]:
    """Networks that do not pair with the subnets, networks that cannot be translated, and those that meet behind one.

    That what the mesh sees overlaps nothing else is for `addresses`.
    """
    translating = [peer for peer in mesh.peers.values() if peer.nat_subnet]
    for peer in translating:
        if len(peer.nat_subnet) != len(peer.subnets):
            numbers = f"subnets has {len(peer.subnets):,}, this {len(peer.nat_subnet):,}"
            yield Finding(peer.file, "nat_subnet", f"{numbers}: one is needed for each, in their order")
            continue
        if not peer.managed and peer.translated:
            text = "mesh-sync does not translate on an unmanaged peer: it has to do so itself"
            yield Finding(peer.file, "nat_subnet", text, WARNING)
        yield from _pairs(mesh, peer)
    yield from _behind(mesh, translating)


def _pairs(mesh: Mesh, peer: Peer) -> Iterator[Finding]:
    exits = exit_networks(peer)
    for index, (network, mapped) in enumerate(zip(peer.subnets, peer.nat_subnet, strict=True)):
        key = f"nat_subnet[{index}]" if len(peer.nat_subnet) > 1 else "nat_subnet"
        if network == mapped:
            continue
        if network in exits:
            yield Finding(peer.file, key, f"{network} is a part of its exit, which is not translated: repeat it here")
        elif network.version != mapped.version:
            text = f"{mapped} stands for {network}: IPv4 is not translated to IPv6, nor the other way round"
            yield Finding(peer.file, key, text)
        elif network.prefixlen != mapped.prefixlen:
            yield Finding(peer.file, key, f"{mapped} stands for {network}, so it has to be a /{network.prefixlen}, too")
        for own in mesh.networks:
            if own.version == network.version and own.overlaps(network):
                text = f"{network} overlaps the mesh's own network {own}: {peer.name} would not know which is meant"
                yield Finding(peer.file, f"subnets[{index}]", text)


def _behind(mesh: Mesh, translating: list[Peer]) -> Iterator[Finding]:
    """A network here that the mesh knows as another peer's: hosts in it do not reach that one, nor answer it."""
    if not any(peer.translated for peer in translating):
        return
    seen = {
        network: peer
        for peer in mesh.peers.values()
        for network in set(peer.announced).difference(exit_networks(peer) if peer.subnets else ())
    }
    around = LongestPrefix(seen.items())
    firsts = {version: sorted(_first(one) for one in seen if one.version == version) for version in (4, 6)}
    for peer in translating:
        for network, _ in peer.translated:
            other = _meets(network, around, firsts[network.version])
            if other is None or seen[other] is peer:
                continue
            text = f"hosts in {network} here and in {seen[other].name}'s {other} do not reach each other"
            advice = f"; a nat_subnet of {seen[other].name} as well mends that" if other == network else ""
            yield Finding(peer.file, "nat_subnet", text + advice, WARNING)


def _meets(network: Network, around: LongestPrefix[Peer], firsts: list[tuple[int, Network]]) -> Network | None:
    """One of the networks that overlaps this one: around it, or within it."""
    if hit := around.find(network.network_address):
        return hit[0]
    place = bisect_left(firsts, int(network.network_address), key=itemgetter(0))
    return firsts[place][1] if place < len(firsts) and firsts[place][1].overlaps(network) else None


def _first(network: Network) -> tuple[int, Network]:
    return int(network.network_address), network
