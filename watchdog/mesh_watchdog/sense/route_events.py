"""A routing socket that only says "something changed": what, is asked of `ip`."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

RTMGRP_LINK = 0x1
RTMGRP_IPV4_IFADDR = 0x10
RTMGRP_IPV4_ROUTE = 0x40
RTMGRP_IPV6_IFADDR = 0x100
RTMGRP_IPV6_ROUTE = 0x400
GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE

RTM_NEWROUTE, RTM_DELROUTE = 24, 25
_HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr (linux/netlink.h): length, type, flags, sequence, port."""


def listening() -> socket.socket:
    """A non-blocking socket that is told of links, addresses and routes (rtnetlink(7))."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    made.bind((0, GROUPS))
    return made


def drain(listener: socket.socket) -> bool:
    """Read all that is there; return whether any of it may matter. Lost messages do: what they said is not known."""
    matters = False
    while True:
        try:
            data = listener.recv(65536)
        except BlockingIOError:
            return matters
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                return True
            matters = True
        else:
            matters = matters or any(_matters(kind, body) for kind, body in messages(data))


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages in one datagram, as (type, payload); whatever is cut short ends it."""
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if length < _HEADER.size or length > len(data):
            return
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def _matters(kind: int, body: bytes) -> bool:
    """Of routes only those for everything (rtm_dst_len 0): a router has thousands of others that come and go."""
    return kind not in (RTM_NEWROUTE, RTM_DELROUTE) or len(body) < 2 or body[1] == 0
