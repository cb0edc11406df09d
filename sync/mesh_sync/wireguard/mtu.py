"""The MTU of the interface where the list sets none: what the ways to the peers leave for it, as with wg-quick.

wg-quick asks once, when the interface comes up; here it is followed with each look. The kernel is asked without a
process: a connected UDP socket knows the MTU of its route, what was learnt of the path included, and sends nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator

OVERHEAD = 80
"""Bytes that WireGuard adds over IPv6, 20 more than over IPv4; like wg-quick, this reckons with the larger."""
IPV6_LEAST = 1280
"""Bytes (RFC 8200, section 5): below it the kernel takes an interface's IPv6 addresses away."""
IPV4_LEAST = 576
ANYWHERE = ("192.0.2.1", "2001:db8::1")
"""Addresses of documentation, by which default routes are seen while no endpoint is known."""
_IPV6_MTU = 24
"""linux/in6.h; and the same for IPv4, linux/in.h."""
_IP_MTU = 14
_PORT = 9


def fitting(mtus: Iterable[int], *, ipv6: bool) -> int:
    """The MTU for an interface, given those of the ways to its endpoints, in bytes; 0 when there is no way.

    ``ipv6``: whether the interface has an IPv6 address. Where less than what IPv6 needs is left, packets are sent in
    fragments.
    """
    smallest = min(mtus, default=0)
    return max(smallest - OVERHEAD, least(ipv6=ipv6)) if smallest else 0


def least(*, ipv6: bool) -> int:
    """The least MTU in bytes of an interface, which may have an IPv6 address."""
    return IPV6_LEAST if ipv6 else IPV4_LEAST


def of_ways(endpoints: Iterable[str], mark: int, own: Collection[str]) -> Iterator[int]:
    """The MTU of the way to each numeric endpoint, in bytes; those without a way are left out.

    ``mark``: of the tunnel's packets. ``own``: the interface's addresses; what leaves from one is inside the tunnel.
    """
    hosts = {endpoint.rpartition(":")[0].strip("[]") for endpoint in endpoints if endpoint}
    for host in sorted(hosts) or ANYWHERE:
        if (found := _ask(host, mark)) and f"{found[0]}/{128 if ':' in host else 32}" not in own:
            yield found[1]


def _ask(host: str, mark: int) -> tuple[str, int] | None:
    """The source address and the MTU of the way; None when there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    level, option = (socket.IPPROTO_IPV6, _IPV6_MTU) if ":" in host else (socket.IPPROTO_IP, _IP_MTU)
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            if mark:
                asking.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            asking.connect((host, _PORT))
            return asking.getsockname()[0], asking.getsockopt(level, option)
    except OSError:
        return None
