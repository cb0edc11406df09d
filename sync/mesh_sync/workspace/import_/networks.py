"""Which networks are the mesh's own, and which lie behind peers. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from mesh_sync.errors import ConfigError
from mesh_sync.mesh.exits import default_route
from mesh_sync.mesh.model import reserved
from mesh_sync.wireguard.endpoint import Network

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
WIDEST = {4: 8, 6: 32}
"""Prefix lengths: a mesh network guessed from single addresses is no wider than this."""
NARROWEST = {4: 24, 6: 64}
"""... and no narrower, so that there is room for the next peer."""


def mesh_networks(addresses: Sequence[Interface], subnets: Sequence[Network], notes: list[str]) -> tuple[Network, ...]:
    """The networks that the addresses come from, none of which overlaps a network behind a peer.

    Raise ConfigError when they lie too far apart for a guess.
    """
    found: list[Network] = []
    for version in (4, 6):
        mine = sorted((one for one in addresses if one.version == version), key=lambda one: int(one.ip))
        declared = {one.network for one in mine if 0 < one.network.prefixlen < one.max_prefixlen}
        widest = [one for one in declared if not any(one.prefixlen > o.prefixlen and overlap(one, o) for o in declared)]
        for network in sorted(widest, key=str):
            inside = [one for one in mine if one.ip in network]
            hit = next((subnet for subnet in subnets if subnet.prefixlen and overlap(subnet, network)), None)
            if hit is None:
                found.append(network)
                continue
            found.append(narrow := _around(inside))
            notes.append(f"networks: {narrow} instead of {network}, because {hit} lies behind a peer")
        if rest := [one for one in mine if not any(one.ip in network for network in found)]:
            found.append(guess := _around(rest))
            notes.append(f"networks: {guess} is a guess from single addresses; --network CIDR overrides it")
    return tuple(found)


def _around(addresses: Sequence[Interface]) -> Network:
    """The smallest network that has all of them as hosts, within the limits above."""
    version = addresses[0].version
    network: Network = addresses[0].network.__class__((int(addresses[0].ip), addresses[0].max_prefixlen))
    while (
        network.prefixlen > NARROWEST[version]
        or any(one.ip not in network or reserved(one.ip, network) for one in addresses)
    ) and network.prefixlen > WIDEST[version]:
        network = network.supernet()
    if any(one.ip not in network for one in addresses):
        text = f"the addresses {addresses[0].ip} to {addresses[-1].ip} lie too far apart to guess the mesh's networks"
        raise ConfigError(text, hint="give them with --network CIDR, which may be repeated")
    return network


def exit_part(networks: Iterable[Interface]) -> frozenset[Interface]:
    """Those of a peer's networks that are a default route, whole or in pieces: who has them leaves by that peer."""
    listed = list(networks)
    found = exit_networks(one.network for one in listed)
    return frozenset(one for one in listed if one.network in found)


def exit_networks(networks: Iterable[Network]) -> frozenset[Network]:
    """Those of some networks that are a default route, whole or in pieces."""
    each = list(networks)
    versions = ([one for one in each if one.version == version] for version in (4, 6))
    return frozenset(one for alike in versions for one in default_route(alike))


def collapsed(networks: Iterable[Network]) -> set[Network]:
    """The same addresses in as few networks as there can be."""
    each = list(networks)
    four = [one for one in each if isinstance(one, ipaddress.IPv4Network)]
    six = [one for one in each if isinstance(one, ipaddress.IPv6Network)]
    return {*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)}


def overlap(one: Network, other: Network) -> bool:
    """Whether two networks, of either family, have an address in common."""
    return one.version == other.version and one.overlaps(other)


def within(inner: Network, outer: Network) -> bool:
    """Whether all of a network lies in the other one."""
    return overlap(inner, outer) and inner.prefixlen >= outer.prefixlen


def around(peer: str, network: Network, own: Network) -> str:
    """A note on a network that is carried to ``peer`` and has the mesh's ``own`` within it."""
    hint = f"`mesh-sync peer set {peer} --subnet CIDR` declares what lies behind {peer}"
    return f"{peer}: {network} lies around the mesh's own {own}: left out; {hint}"


def is_host(network: Interface) -> bool:
    """Whether it is a single address. ``10.0.0.1/24`` is none: wg takes it as well, and means the whole network."""
    return network.network.prefixlen == network.max_prefixlen


def is_network(network: Interface) -> bool:
    """Whether it is written as a network of several addresses, none of them in particular."""
    return network.ip == network.network.network_address and network.max_prefixlen - network.network.prefixlen > 1


def is_own_host(network: Interface, networks: Iterable[Network]) -> bool:
    """Whether one machine of the mesh is meant: by its address, alone or with the length of one of ``networks``.

    The latter is how wg-meshconf writes it; taken as wg does, all of the mesh would be at one peer.
    """
    ours = [own for own in networks if network.ip in own]
    if is_host(network):
        return bool(ours)
    return not is_network(network) and any(within(own, network.network) for own in ours)
