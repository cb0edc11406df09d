"""Openers: packets from WireGuard's own port that pass our NAT and die on the way (`policy.punching`).

WireGuard owns the port, so openers leave through a raw socket. A socket of IPPROTO_RAW never receives anything, and is
given whole packets, IP header included (raw(7), ipv6(7)).
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address

from mesh_sync.wireguard.endpoint import Address, Endpoint

PAYLOAD = b"\0"
"""One byte, which is no WireGuard message: if it arrives after all, it is dropped."""
_UDP_HEADER = 8


class Opener:
    """One raw socket for each IP version, kept open. This requires CAP_NET_RAW."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}

    def send(self, endpoint: str, port: int, ttl: int, mark: int) -> str:
        """Send one from ``port`` that lives for ``ttl`` hops; ``mark``: the firewall mark of the tunnel's packets.

        Return the problem if this process lacks the right to; a missing route is no problem.
        """
        try:
            target = Endpoint.parse(endpoint)
            address = target.address
            if address is None:
                return ""
            whole = packet(_source(address, target.port, mark), address, port, target.port, ttl)
            self._socket(address.version, mark).sendto(whole, (str(address), 0))
        except PermissionError as error:
            return f"NATs cannot be opened: {error.strerror}; it takes CAP_NET_RAW"
        except (OSError, ValueError):
            return ""
        return ""

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()

    def _socket(self, version: int, mark: int) -> socket.socket:
        if version not in self._sockets:
            kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
            self._sockets[version] = socket.socket(_family(version), kind, socket.IPPROTO_RAW)
        self._sockets[version].setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        return self._sockets[version]


def _family(version: int) -> socket.AddressFamily:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _source(address: Address, port: int, mark: int) -> bytes:
    """The address from which packets to there leave, found by a socket that sends nothing. Raise OSError."""
    family = _family(address.version)
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        asked.connect((str(address), port))
        return socket.inet_pton(family, asked.getsockname()[0])


def packet(source: bytes, address: Address, port: int, to: int, ttl: int) -> bytes:
    """A whole UDP packet (RFC 768, 791, 8200). The kernel fills in IPv4's length, identification and checksum."""
    length = _UDP_HEADER + len(PAYLOAD)
    ends = source + address.packed
    pseudo = ends + struct.pack("!LHBB", length, 0, 0, socket.IPPROTO_UDP)
    bare = struct.pack("!HHHH", port, to, length, 0)
    udp = struct.pack("!HHHH", port, to, length, _checksum(pseudo + bare + PAYLOAD) or 0xFFFF) + PAYLOAD
    if isinstance(address, IPv4Address):
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, ttl, socket.IPPROTO_UDP, 0) + ends + udp
    return struct.pack("!LHBB", 6 << 28, length, socket.IPPROTO_UDP, ttl) + ends + udp


def _checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
