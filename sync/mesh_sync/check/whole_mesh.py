"""What can be wrong with a mesh as a whole, although each file on its own is fine. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from mesh_sync.check.expectations import unmet
from mesh_sync.findings import WARNING, Finding, shown
from mesh_sync.mesh.addresses import reserved
from mesh_sync.mesh.layout import MESH_FILE
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.mesh.topology import Topology
from mesh_sync.wireguard.endpoint import Address, Network

IPV6_MIN_MTU = 1280
MAX_RELAYS = 8
MAX_NAMED = 5
"""How many peers a message lists before it says "and N more"."""


def whole_mesh(mesh: Mesh, moment: datetime, broken: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """Everything that one peer does to another.

    ``broken``: peers that are declared and cannot be read. With some missing, who reaches whom cannot be told.
    """
    for check in CHECKS:
        yield from check(mesh)
    yield from _relays(mesh, broken)
    yield from _expectations(mesh, broken)
    if broken:
        return
    topology = Topology(mesh, moment)
    yield from _cut_off(mesh, topology, moment)
    yield from _no_endpoints(topology)
    yield from unmet(mesh, topology)


def _keys(mesh: Mesh) -> Iterator[Finding]:
    holders: dict[str, tuple[Peer, str]] = {}
    for peer in mesh.peers.values():
        for key, value in (("public_key", peer.public_key), ("next_public_key", peer.next_public_key)):
            if value is None:
                continue
            first, first_key = holders.setdefault(value, (peer, key))
            if (first, first_key) != (peer, key):
                yield Finding(peer.file, key, f"is also {first_key} of {first.name}")


def _addresses(mesh: Mesh) -> Iterator[Finding]:
    holders: dict[Address, Peer] = {}
    for peer in mesh.peers.values():
        for index, address in enumerate(peer.addresses):
            key = f"addresses[{index}]"
            network = next((network for network in mesh.networks if address in network), None)
            if network is None and mesh.networks:
                yield Finding(peer.file, key, f"{address} lies in none of the mesh's networks ({_list(mesh.networks)})")
            elif network and reserved(address, network):
                yield Finding(peer.file, key, f"{address} is the network's own address in {network}, no host's")
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


def _endpoints(mesh: Mesh) -> Iterator[Finding]:
    tunnelled = [(network, "the mesh's own network") for network in mesh.networks]
    tunnelled += [
        (network, f"{peer.name}'s subnet")
        for peer in mesh.peers.values()
        for network in peer.subnets
        if network.prefixlen
    ]
    inside = _containing(tunnelled)
    for peer in mesh.peers.values():
        for index, endpoint in enumerate(peer.endpoint):
            if endpoint.address and (hit := inside(endpoint.address)):
                key = f"endpoint[{index}]" if len(peer.endpoint) > 1 else "endpoint"
                text = f"{endpoint} lies in {hit[1]} {hit[0]}: packets to it would enter the tunnel"
                yield Finding(peer.file, key, text)


def _containing(networks: list[tuple[Network, str]]) -> Callable[[Address], tuple[Network, str] | None]:
    """A look-up by prefix length, so that thousands of endpoints against thousands of subnets stay fast."""
    table = {(n.version, n.prefixlen, int(n.network_address)): (n, what) for n, what in networks}
    lengths = sorted({(n.version, n.prefixlen) for n, _ in networks})

    def find(address: Address) -> tuple[Network, str] | None:
        for version, length in lengths:
            if version == address.version:
                shift = address.max_prefixlen - length
                if hit := table.get((version, length, int(address) >> shift << shift)):
                    return hit
        return None

    return find


def _relays(mesh: Mesh, broken: frozenset[str]) -> Iterator[Finding]:
    for peer in mesh.peers.values():
        if peer.via is None or peer.via in broken:
            continue
        if peer.via == peer.name:
            yield Finding(peer.file, "via", "is the peer itself")
        elif peer.via not in mesh.peers:
            yield Finding(peer.file, "via", f"there is no peer {peer.via!r}")
        else:
            yield from _line_of_relays(peer, mesh)


def _line_of_relays(peer: Peer, mesh: Mesh) -> Iterator[Finding]:
    line = [peer.name]
    above = peer
    while above.via and above.via in mesh.peers and above.via not in line and len(line) <= MAX_RELAYS + 1:
        line.append(above.via)
        above = mesh.peers[above.via]
    if above.via == peer.name:
        yield Finding(peer.file, "via", f"goes in a circle: {_list([*line, peer.name], ' -> ')}")
    elif len(line) > MAX_RELAYS + 1:
        yield Finding(peer.file, "via", f"more than {MAX_RELAYS} relays in a row")


def _mtus(mesh: Mesh) -> Iterator[Finding]:
    for peer in mesh.peers.values():
        mtu = peer.mtu or mesh.mtu
        if mtu and mtu < IPV6_MIN_MTU and any(address.version == 6 for address in peer.addresses):
            where = (peer.file, "mtu") if peer.mtu else (MESH_FILE, "mtu")
            yield Finding(*where, f"{mtu} is below {IPV6_MIN_MTU}, which IPv6 needs ({peer.name} has an IPv6 address)")


def _networks(mesh: Mesh) -> Iterator[Finding]:
    for index, network in enumerate(mesh.networks):
        if not network.prefixlen:
            yield Finding(MESH_FILE, f"networks[{index}]", f"{network} is everything; name the mesh's own range")
        for other in mesh.networks[:index]:
            if other.version == network.version and other.overlaps(network):
                yield Finding(MESH_FILE, f"networks[{index}]", f"{network} overlaps {other}")


def _expectations(mesh: Mesh, broken: frozenset[str]) -> Iterator[Finding]:
    known = mesh.peers.keys() | broken
    for index, expect in enumerate(mesh.expect):
        if expect.source not in known:
            yield Finding(MESH_FILE, f"expect[{index}].from", f"there is no peer {expect.source!r}")
        if expect.to not in known and not _is_network(expect.to):
            yield Finding(MESH_FILE, f"expect[{index}].to", f"{shown(expect.to)} is no peer, address or network")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


CHECKS: tuple[Callable[[Mesh], Iterator[Finding]], ...] = (
    _networks, _keys, _addresses, _subnets, _endpoints, _mtus,
)  # fmt: skip


def _cut_off(mesh: Mesh, topology: Topology, moment: datetime) -> Iterator[Finding]:
    for name, peer in mesh.peers.items():
        relay = mesh.peers.get(peer.via or "")
        if peer.active(moment) and relay and name not in topology.members and not relay.active(moment):
            yield Finding(peer.file, "via", f"{relay.name} is disabled or expired, so nobody reaches {name}", WARNING)


def _no_endpoints(topology: Topology) -> Iterator[Finding]:
    """Name the pairs in which nobody can begin: neither has an endpoint."""
    hidden = [peer for peer in topology.roots if not peer.endpoint]
    for peer in hidden:
        others = [other.name for other in hidden[: MAX_NAMED + 1] if other is not peer]
        if others:
            named = _list(others[:MAX_NAMED], more=len(hidden) - 1 - MAX_NAMED)
            text = f"neither {peer.name} nor {named} has one: they cannot connect without a relay (via)"
            yield Finding(peer.file, "endpoint", text, WARNING)
    for peer in topology.members.values():
        relay = topology.members.get(peer.via or "")
        if relay and not topology.can_talk(peer, relay):
            text = f"neither {peer.name} nor its relay {relay.name} has one: they cannot connect"
            yield Finding(peer.file, "endpoint", text, WARNING)


def _list(things: Sequence[object], separator: str = ", ", more: int = 0) -> str:
    """The first of them by name; ``more``: how many there are besides those given."""
    more = max(more, len(things) - MAX_NAMED)
    return separator.join(map(str, things[:MAX_NAMED])) + (f" and {more} more" if more > 0 else "")
