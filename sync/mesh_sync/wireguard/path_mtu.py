"""How large a packet to a peer may be: asked of the path itself, by ICMP echoes through the tunnel.

WireGuard's packets may be cut into fragments on the way, and some paths drop fragments: small packets then get through,
large ones vanish without a word. An echo comes back as large as it went, so one answer tells about both directions.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable

PLATEAUS = (1500, 1480, 1472, 1440, 1420, 1412, 1400, 1380, 1360, 1340, 1320, 1300, 1280, 1240, 1200, 1100, 1000, 576)
"""Sizes to try, in bytes: what Ethernet, PPPoE, tunnels and mobile networks leave (in the manner of RFC 1191, 7.1)."""
ANSWER = 0.7
"""Seconds for one echo."""
TRIES = 3
"""Echoes of one size; one may be lost for other reasons."""
_PROBE = 3
"""IP_PMTUDISC_PROBE, linux/in.h: never in fragments, whatever is known of the path."""
_MTU_DISCOVER = {socket.AF_INET: (socket.IPPROTO_IP, 10), socket.AF_INET6: (socket.IPPROTO_IPV6, 23)}
_KIND = {socket.AF_INET: (socket.IPPROTO_ICMP, 8, 0), socket.AF_INET6: (socket.IPPROTO_ICMPV6, 128, 129)}
"""The protocol, and the types of an echo and of its answer (RFC 792, RFC 4443)."""
_HEADER = struct.Struct("!BBHHH")


def largest(interface: str, address: str, mtu: int, note: Callable[[int], None] = lambda size: None) -> int | None:
    """The largest packet that the peer at this mesh address answers, in bytes, up to the interface's ``mtu``.

    None when it answers no echo at all. Takes some seconds where large packets are lost. Raise OSError when no socket
    can be made: it takes a group of net.ipv4.ping_group_range, or CAP_NET_RAW. ``note`` is given the size of each
    packet that is sent or received.
    """
    with _Echo(interface, address, note) as echo:
        sizes = [mtu, *(size for size in PLATEAUS if echo.least <= size < mtu)]
        if not echo.answers(sizes[-1]):
            return None
        low, high = 0, len(sizes) - 1  # the last one passes
        while low < high:
            middle = (low + high) // 2 if low else 0  # first of all the whole: it nearly always passes
            if echo.answers(sizes[middle]):
                high = middle
            else:
                low = middle + 1
        lost_by_chance = high > 0 and echo.answers(mtu)
        return mtu if lost_by_chance else sizes[high]


class _Echo:
    """Echoes to one address, by a socket of the interface: one for echoes if the kernel allows it, else a raw one."""

    def __init__(self, interface: str, address: str, note: Callable[[int], None]) -> None:
        self._note = note
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        protocol, self._ask, self._told = _KIND[self._family]
        self._address = address
        self._number, self._turn = os.getpid() & 0xFFFF, 0
        self.least = 1280 if self._family is socket.AF_INET6 else 576
        try:
            self._socket, self._raw = socket.socket(self._family, socket.SOCK_DGRAM, protocol), False
        except PermissionError:
            self._socket, self._raw = socket.socket(self._family, socket.SOCK_RAW, protocol), True
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        self._socket.setsockopt(*_MTU_DISCOVER[self._family], _PROBE)

    def __enter__(self) -> _Echo:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def answers(self, size: int) -> bool:
        """Whether an echo of ``size`` bytes, headers included, is answered."""
        for _ in range(TRIES):
            self._turn = (self._turn + 1) & 0xFFFF
            head = 20 if self._family is socket.AF_INET else 40
            packet = _packet(self._ask, self._number, self._turn, size - head)
            try:
                self._socket.sendto(packet, (self._address, 0))
            except OSError:  # larger than the interface takes, or no peer has the address
                return False
            self._note(size)
            if self._is_answered(time.monotonic() + ANSWER):
                self._note(size)
                return True
        return False

    def _is_answered(self, end: float) -> bool:
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data, sender = self._socket.recvfrom(65536)
            except TimeoutError:
                return False
            if self._raw and self._family is socket.AF_INET:  # with its IP header
                data = data[(data[0] & 0xF) * 4 :]
            if len(data) < _HEADER.size or sender[0] != self._address:
                continue
            kind, _, _, number, turn = _HEADER.unpack_from(data)
            if (kind, turn) == (self._told, self._turn) and (number == self._number or not self._raw):
                return True
        return False


def _packet(kind: int, number: int, turn: int, size: int) -> bytes:
    """An echo of ``size`` bytes; the kernel works out the checksum of ICMPv6 itself."""
    body = bytes(max(0, size - _HEADER.size))
    return _HEADER.pack(kind, 0, _checksum(_HEADER.pack(kind, 0, 0, number, turn)), number, turn) + body


def _checksum(data: bytes) -> int:
    """That of the internet (RFC 1071); zeros that follow change nothing."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
