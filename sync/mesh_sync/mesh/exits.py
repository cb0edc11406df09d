"""What of a peer's `subnets` is an exit: a default route, whole or in pieces. Pure.

No network behind a peer is an eighth of the internet. `0.0.0.0/0`, `0.0.0.0/1` with
`128.0.0.0/1`, and the thirty networks that a calculator makes of "everything but these" are one thing: a default route.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from mesh_sync.mesh.model import Peer
from mesh_sync.wireguard.endpoint import Network

NONE = "none"
"""In place of a peer's name: no exit."""
SHARE = 8
"""Networks that hold more than this part of the public addresses of an IP version are a default route."""
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.168.0.0/16", "224.0.0.0/3"),
            *("::/3", "4000::/2", "8000::/1"),
        ),
    )
)
"""What is not public: private, provider's, loopback, link-local, multicast, reserved (RFC 6890, RFC 4291)."""
_PRIVATE = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)
_PUBLIC = {4: 2**32 - sum(one.num_addresses for one in _SPECIAL if one.version == 4), 6: 2**125}


def exit_networks(peer: Peer) -> tuple[Network, ...]:
    """Those of the peer's `subnets` that are its exit, in their order: only peers that use it reach them by it."""
    held = {4: 0, 6: 0}
    for one in peer.subnets:
        held[one.version] += _size(one)
    if not any(_is_large(addresses, version) for version, addresses in held.items()):
        return ()  # as nearly all are
    found = {one for version in (4, 6) for one in default_route([n for n in peer.subnets if n.version == version])}
    return tuple(one for one in peer.subnets if one in found)


def default_route(networks: Sequence[Network]) -> Iterator[Network]:
    """Given networks of one IP version, return those that together are a default route; none if they are not one.

    A network inside another one of these is meant as such: it is no piece. Nor is a private network, unless several
    together are most of the range that it lies in: pieces of "everything but my own network".
    """
    if not networks or not _is_large(sum(map(_size, networks)), networks[0].version):
        return
    outer, inner = _by_containment(networks)
    if not _is_large(sum(map(_public, outer)), networks[0].version):
        return
    for one in outer:
        lies = next((private for private in _PRIVATE if contains(private, one)), None)
        others = [other for other in outer if lies and contains(lies, other)]
        if not lies or (len(others) > 1 and sum(o.num_addresses for o in others) > lies.num_addresses // 2):
            yield one
    yield from default_route(inner)


def versions(networks: Iterable[Network]) -> tuple[int, ...]:
    """The IP versions of some networks, in order."""
    return tuple(sorted({network.version for network in networks}))


def _is_large(addresses: int, version: int) -> bool:
    return addresses > _PUBLIC[version] // SHARE


def _size(network: Network) -> int:
    """How many addresses it has; `num_addresses` takes ten times as long."""
    return 1 << network.max_prefixlen - network.prefixlen


def last_of(network: Network) -> int:
    """The last address in it, as a number; `broadcast_address` takes ten times as long."""
    return int(network.network_address) + _size(network) - 1


def _by_containment(networks: Iterable[Network]) -> tuple[list[Network], list[Network]]:
    """Those that lie in no other one, and the rest."""
    outer, inner = list[Network](), list[Network]()
    for one in sorted(set(networks), key=lambda network: (int(network.network_address), network.prefixlen)):
        (inner if outer and contains(outer[-1], one) else outer).append(one)
    return outer, inner


def _public(network: Network) -> int:
    """How many of its addresses are public."""
    special = (one for one in _SPECIAL if one.version == network.version)
    held = [one for one in special if contains(network, one) or contains(one, network)]
    if any(contains(one, network) for one in held):
        return 0
    return network.num_addresses - sum(one.num_addresses for one in held)


def contains(outer: Network, inner: Network) -> bool:
    """Whether all of ``inner`` lies in ``outer``; `subnet_of` takes ten times as long."""
    if outer.version != inner.version or outer.prefixlen > inner.prefixlen:
        return False
    shift = outer.max_prefixlen - outer.prefixlen
    return int(outer.network_address) >> shift == int(inner.network_address) >> shift
