"""PCP (RFC 6887): the MAP request for one UDP port over IPv4, and what it is answered with. Pure."""

from __future__ import annotations

import struct

from attrs import frozen

from mesh_watchdog.port_mapping.answers import Answer, Granted, IPv4, Refused, Why

VERSION = 2
SERVER_PORT, CLIENT_PORT = 5351, 5350
ANNOUNCE, MAP, RESPONSE = 0, 1, 0x80
UDP = 17
LONGEST = 1100
"""Octets of a message (section 7)."""
NONCE = 12
"""Octets. They are random, or any machine of the LAN could change the mapping (section 11.2)."""
_REQUEST = struct.Struct("!BBxxI16s")
"""Version, opcode, lifetime, the client's address (section 7.1)."""
_RESPONSE = struct.Struct("!BBxBII12x")
"""Version, opcode, result, lifetime, epoch (section 7.2)."""
_MAP = struct.Struct("!12sB3xHH16s")
"""Nonce, protocol, internal port, external port, external address (section 11.1)."""
_IPV4 = bytes(10) + b"\xff\xff"
_REASONS = {1: Why.VERSION, 7: Why.NO_ADDRESS, 8: Why.FULL, 10: Why.FULL, 11: Why.FULL, 12: Why.CARRIER}
"""Result codes (section 7.4); ADDRESS_MISMATCH (12): the router sees us at another address."""


@frozen
class Request:
    """``own``: the address from which it is sent; ``port``: WireGuard's; ``wish``: what was granted before."""

    nonce: bytes
    own: IPv4
    port: int
    wish: tuple[IPv4, int] | None = None


def request(asked: Request, lifetime: int) -> bytes:
    """A MAP request; lifetime 0 removes the mapping."""
    address, port = asked.wish or (IPv4(0), asked.port)
    return _REQUEST.pack(VERSION, MAP, lifetime, _IPV4 + asked.own.packed) + _MAP.pack(
        asked.nonce, UDP, asked.port, port if lifetime else 0, _IPV4 + (address if lifetime else IPv4(0)).packed
    )


def answer(data: bytes, asked: Request) -> Answer | None:
    """The answer to this request in a datagram from the router; None if it is none."""
    if len(data) >= 4 and data[0] == 0 and data[1] == RESPONSE | MAP:  # NAT-PMP only (RFC 6886, section 9)
        return Refused(Why.VERSION) if data[2:4] == b"\0\1" else None
    if len(data) < _RESPONSE.size + _MAP.size or len(data) > LONGEST or len(data) % 4:
        return None
    version, opcode, result, lifetime, epoch = _RESPONSE.unpack_from(data)
    nonce, protocol, internal, external, address = _MAP.unpack_from(data, _RESPONSE.size)
    if (version, opcode, nonce, protocol, internal) != (VERSION, RESPONSE | MAP, asked.nonce, UDP, asked.port):
        return None
    if result:
        return Refused(_REASONS.get(result, Why.REFUSED), lifetime)
    if address[:12] != _IPV4 or (lifetime and not external):
        return None
    return Granted(IPv4(address[12:]), external, lifetime, epoch)


def announced(data: bytes) -> int | None:
    """The epoch in an ANNOUNCE, which a router sends to all when it has lost its mappings (section 14.1.3)."""
    if len(data) < _RESPONSE.size or len(data) > LONGEST or len(data) % 4:
        return None
    version, opcode, result, _, epoch = _RESPONSE.unpack_from(data)
    return int(epoch) if (version, opcode, result) == (VERSION, RESPONSE | ANNOUNCE, 0) else None
