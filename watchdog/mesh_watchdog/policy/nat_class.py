"""What kind of NAT a node is behind, judged by where others see it (rule R15). Pure.

If two observers in different networks see the same port, the NAT keeps one port for all destinations, and a packet
from the inside opens it ("easy"). If all see different ports, it uses one for each destination, which no other peer
can know beforehand ("hard"). Two that agree count more than one that does not: an observer may lie, and to take a hard
NAT for an easy one costs some packets, the other way round the direct path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from ipaddress import ip_network
from itertools import combinations

from mesh_sync.wireguard.endpoint import Address
from mesh_watchdog.policy.dns_names import numeric
from mesh_watchdog.policy.reports import Report

PUBLIC, EASY, HARD, UNKNOWN = "public", "easy", "hard", "unknown"
CLASSES = (PUBLIC, EASY, HARD, UNKNOWN)
TOGETHER = 30.0
"""Two sightings of one place show an easy NAT if they are at most this many seconds apart …"""
AT_ONCE = 5.0
"""… and two of different places show a hard one only within this many: a NAT that was renumbered in between is seen at
two places too. An idle observer knows to within 5 s when it last saw a peer."""

_INNER = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
"""Private networks, and those between a provider's NAT and its customers (RFC 1918, 6598, 4193)."""


def is_inner(address: Address) -> bool:
    """Whether the address has a meaning in one network only."""
    return any(address in network for network in _INNER if network.version == address.version)


def is_contradicted(mapped: str, reports: Iterable[Report], since: float) -> bool:
    """Whether every observer that saw a node since then saw it at another address than that of its mapped port.

    If so, its router is behind another NAT, or has another address by now.
    """
    found = (numeric(report.endpoint) for report in reports if not report.own and report.seen > since)
    seen = {address for address in found if address and address.version == 4 and not is_inner(address)}
    return bool(seen) and numeric(mapped) not in seen


def nat_class(reports: Iterable[Report], own: Set[Address], sites: Mapping[str, str]) -> str:
    """Given where others see a node, return the class of its NAT.

    ``own``: its addresses as far as they are known; ``sites``: the endpoints at which this node reaches the observers.
    IPv4 decides where the node is seen by it: IPv6 rarely has a NAT.
    """
    seen = [(address, report) for report in reports if not report.own and (address := numeric(report.endpoint))]
    for version in (4, 6):
        found = [(address, report) for address, report in seen if address.version == version]
        if found:
            return _class(found, own, sites)
    return UNKNOWN


def _class(found: list[tuple[Address, Report]], own: Set[Address], sites: Mapping[str, str]) -> str:
    if any(address in own and not is_inner(address) for address, _ in found):
        return PUBLIC
    outside = [report for address, report in found if address not in own]
    compared = {
        one.endpoint == other.endpoint
        for one, other in combinations(outside, 2)
        if abs(one.seen - other.seen) <= (TOGETHER if one.endpoint == other.endpoint else AT_ONCE)
        and _apart(sites.get(one.observer), sites.get(other.observer))
    }
    if not compared:
        return UNKNOWN
    return EASY if any(compared) else HARD


def _apart(one: str | None, other: str | None) -> bool:
    """Whether two observers are in different networks, both with a public address."""
    places = [place for site in (one, other) if site and (place := numeric(site)) and not is_inner(place)]
    return len(places) == 2 and places[0] != places[1]
