"""Where no other machine can be: addresses and host names that no peer's endpoint can have. Pure.

The one predicate for what the list declares, for what DNS answers, and for what the watchdog tries.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

_CLOUD = "a cloud's service for the machine itself"
_NETWORKS = {
    "0.0.0.0/32": "no address",
    "0.0.0.0/8": "not an address of a host",
    "100.100.100.200/32": _CLOUD,  # Alibaba
    "127.0.0.0/8": "this machine itself",
    "168.63.129.16/32": _CLOUD,  # Azure
    "169.254.169.254/32": _CLOUD,
    "169.254.0.0/16": "another machine on each link",
    "192.0.0.192/32": _CLOUD,  # Oracle
    "224.0.0.0/4": "multicast",
    "255.255.255.255/32": "broadcast",
    "240.0.0.0/4": "reserved",
    "::/128": "no address",
    "::1/128": "this machine itself",
    "::ffff:0:0/96": "an IPv4 address as IPv6; write it as IPv4",
    "::/96": "reserved",
    "100::/64": "where packets are dropped",
    "fd00:ec2::/32": _CLOUD,  # Amazon
    "fd20:ce::254/128": _CLOUD,  # Google
    "fe80::/10": "another machine on each link",
    "fec0::/10": "reserved",
    "ff00::/8": "multicast",
}
"""Special addresses (RFC 6890) as far as no host has them, and what clouds tell their machines at. The first counts.

Not those of documentation, of private networks and of provider NAT: there are peers at such addresses.
"""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NUMBER = re.compile(r"(?i)(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*")
"""What a resolver reads as an address: inet_aton(3) takes `127.1`, `0x7f000001`, `2130706433` and octal parts."""
_LOCAL = re.compile(r"(.+\.)?localhost|localhost[46]?(\.localdomain[46]?)?|ip6-(localhost|loopback)")


def _ranges(version: int) -> tuple[tuple[int, int, str], ...]:
    found = ((ipaddress.ip_network(text), what) for text, what in _NETWORKS.items())
    return tuple(
        (int(network.network_address), int(network.broadcast_address), what)
        for network, what in found
        if network.version == version
    )


_RANGES = {version: _ranges(version) for version in (4, 6)}


def nowhere(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """What the address is if no other machine can have it, as the end of a sentence; empty if one can."""
    number = int(address)
    found = next((what for first, last, what in _RANGES[address.version] if first <= number <= last), "")
    if found or isinstance(address, ipaddress.IPv4Address):
        return found
    if address.scope_id is not None:
        return "another machine on each link"
    return next((f"{inner}, which is {what}" for inner in _embedded(address) if (what := nowhere(inner))), "")


def _embedded(address: ipaddress.IPv6Address) -> Iterable[ipaddress.IPv4Address]:
    """The IPv4 addresses that packets to it are really for: 6to4, Teredo, NAT64 (RFC 3056, 4380, 6052)."""
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),) if address in _NAT64 else ()


def no_name(host: str) -> str:
    """Why a host name stands for no other machine, as the end of a sentence; empty if it can."""
    host = host.rstrip(".")
    if _NUMBER.fullmatch(host):
        return "a number, which stands for another address on each system; write the IP address in full"
    return "this machine itself" if _LOCAL.fullmatch(host.lower()) else ""
