"""The kernel's messages about links, addresses, routes and rules (rtnetlink(7)): which of them may matter. Pure."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator

GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000
"""RTMGRP_LINK, RTMGRP_IPV4_IFADDR, _ROUTE and _RULE, RTMGRP_IPV6_IFADDR and _ROUTE, RTNLGRP_IPV6_RULE
(linux/rtnetlink.h)."""
RTM_NEWROUTE, RTM_DELROUTE = 24, 25
RTA_DST = 1
_HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr (linux/netlink.h): length, type, flags, sequence, port."""
_ROUTE = struct.Struct("=BB10x")
"""struct rtmsg: the family, the length of the destination's prefix."""
_ATTRIBUTE = struct.Struct("=HH")
"""struct rtattr: length, type."""


class Places:
    """The addresses to which this machine needs its ways."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._numbers: dict[int, set[int]] = {4: set(), 16: set()}
        for text in addresses:
            address = ipaddress.ip_address(text.partition("%")[0])
            self._numbers[address.max_prefixlen // 8].add(int(address))
        self._masked: dict[tuple[int, int], set[int]] = {}

    def any_in(self, prefix: bytes, length: int) -> bool:
        """Whether one of them lies in the network with this address and prefix length."""
        shift = 8 * len(prefix) - length
        if (masked := self._masked.get((len(prefix), length))) is None:
            masked = {number >> shift for number in self._numbers.get(len(prefix), ())}
            self._masked[len(prefix), length] = masked
        return int.from_bytes(prefix, "big") >> shift in masked


def matter(data: bytes, places: Places) -> bool:
    """Whether any message of this datagram may.

    Of routes only those for everything, and those by which a place of ours is reached: a router has thousands of others
    that come and go.
    """
    return any(_matters(kind, body, places) for kind, body in messages(data))


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages in one datagram, as (type, payload); whatever is cut short ends it."""
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if length < _HEADER.size or length > len(data):
            return
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def _matters(kind: int, body: bytes, places: Places) -> bool:
    if kind not in (RTM_NEWROUTE, RTM_DELROUTE) or len(body) < _ROUTE.size:
        return True
    _, length = _ROUTE.unpack_from(body)
    prefix = next((value for kind, value in _attributes(body[_ROUTE.size :]) if kind == RTA_DST), b"")
    return not length or length > 8 * len(prefix) or places.any_in(prefix, length)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]
