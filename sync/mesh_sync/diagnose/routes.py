"""Whether packets of a program to each peer, and to each subnet, go into the tunnel. That the kernel has our route is
not enough: one of this machine's own may be as specific and come first, or be more specific.

The kernel is asked without a process: a connected UDP socket knows its source address, and sends nothing. Only what
does not leave from the interface's own address is asked of `ip`, which can tell why.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from mesh_sync.diagnose.trouble import Trouble
from mesh_sync.findings import some
from mesh_sync.wireguard import ways
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.ways import Way

T = TypeVar("T")
AT_ONCE = 100
"""Addresses that an idle run asks about; whatever shadows the tunnel of a larger mesh is met by some of so many."""
_PORT = 9


def targets(desired: Desired, most: int | None = None) -> dict[str, str]:
    """One address in each network that a peer has, and what is there: the peer itself, or a subnet of it. Only of IP
    versions that the interface has; of no more than ``most`` networks, of peers from all parts.
    """
    ours = {":" in address for address in desired.addresses}
    peers = spread(desired.peers, most)
    inside = ((network, peer) for peer in peers for network in sorted(peer.allowed_ips - desired.exit_routes))
    known = [(network, peer) for network, peer in inside if (":" in network) in ours]
    return {_first(network): _what(network, peer) for network, peer in spread(known, most)}


def spread(things: Sequence[T], most: int | None) -> Sequence[T]:
    """At most so many of them, from all parts: one of each, and each time the next one of its part. Peers have as many
    networks each, as a rule, and always the first one would never be a subnet.
    """
    step = -(-len(things) // most) if most else 1
    if step <= 1:
        return things
    places = (begin + turn % step for turn, begin in enumerate(range(0, len(things), step)))
    return [things[place] for place in places if place < len(things)]


def _first(network: str) -> str:
    """The address of a host, or the first one in a network."""
    address, _, length = network.partition("/")
    whole = length in ("", "128" if ":" in address else "32")
    return address if whole else str(ipaddress.ip_address(address) + 1)


def _what(network: str, peer: DesiredPeer) -> str:
    host = network.partition("/")[0]
    return peer.name if host in peer.addresses else f"{network} behind {peer.name}"


def astray(addresses: Iterable[str], own: Iterable[str]) -> list[str]:
    """The addresses to which packets do not leave from ``own``, the interface's addresses (`A/32`)."""
    mine = {address.partition("/")[0] for address in own}
    return [address for address in addresses if source(address) not in mine]


def source(address: str) -> str:
    """The address that packets to ``address`` leave from; empty where there is no way."""
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((address, _PORT))
            return str(asking.getsockname()[0])
    except OSError:
        return ""


def route_troubles(desired: Desired, interface: str, live: Live | None, most: int | None = None) -> Iterator[Trouble]:
    """Yield what takes packets away from the tunnel, where the interface is up and has its routes.

    ``most``: addresses to ask about. Raise DeviceError when `ip` cannot tell.
    """
    if live is None or not live.up or not desired.routes <= live.routes or not desired.addresses <= live.addresses:
        return  # that is drift, and said as such
    known = targets(desired, most)
    if doubtful := astray(known, desired.addresses):
        yield from shadows({one: known[one] for one in doubtful}, interface, ways.ask(doubtful).plain)


def shadows(known: Mapping[str, str], interface: str, found: Mapping[str, Way]) -> Iterator[Trouble]:
    """Given addresses (and what is there) and the ways that the kernel takes to them, yield what leads elsewhere."""
    groups = dict[tuple[str, str, str], list[str]]()
    for address in known:
        way = found.get(address)
        if way is None or way.device != interface:
            groups.setdefault(_cause(address, way), []).append(address)
    for (network, device, gateway), addresses in groups.items():
        things = some([known[address] for address in addresses])
        direct = f"ip route add {addresses[0]} dev {interface}"
        if not device:
            text = f"packets to {things} have no way: something else than {interface} has a route to {network}"
            yield Trouble("no-route", text, f"ip route get {addresses[0]}")
        elif device == "lo":
            text = f"{network}, an address of {things}, is one of this machine's own: nothing sent there leaves it"
            yield Trouble("shadowed", text, f"ip address show to {network}; give one of the two another address")
        else:
            how = f"by {device} via {gateway}" if gateway else f"by {device} (connected)"
            text = f"{network} goes {how}, not by {interface}: not reached are {things}"
            fix = "give that network or the mesh another range; to reach one address at once: "
            yield Trouble("shadowed", text, fix + direct)


def _cause(address: str, way: Way | None) -> tuple[str, str, str]:
    """The network that matched, the device and the gateway; no device where there is no way."""
    if way is None:
        return address, "", ""
    network = ipaddress.ip_network(f"{address}/{way.prefix}", strict=False)
    return str(address if way.local else network), "lo" if way.local else way.device, way.gateway
