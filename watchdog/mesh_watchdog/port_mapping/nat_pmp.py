"""NAT-PMP (RFC 6886): requests for the router's address and for one UDP port, and their answers. Pure."""

from __future__ import annotations

import struct

from mesh_watchdog.port_mapping.answers import Granted, IPv4, Refused, Why

VERSION = 0
ADDRESS, MAP_UDP, RESPONSE = 0, 1, 0x80
ASK_ADDRESS = bytes((VERSION, ADDRESS))
_HEAD = struct.Struct("!BBHI")
"""Version, opcode, result, epoch (section 3.2)."""
_REQUEST = struct.Struct("!BBxxHHI")
"""Version, opcode, internal port, suggested external port, lifetime (section 3.3)."""
_MAPPED = struct.Struct("!HHI")
"""Internal port, external port, lifetime."""
_REASONS = {1: Why.VERSION, 3: Why.NO_ADDRESS, 4: Why.FULL}
"""Result codes (section 3.5)."""


def request(port: int, wish: int, lifetime: int) -> bytes:
    """Lifetime 0 removes the mapping of our ``port``."""
    return _REQUEST.pack(VERSION, MAP_UDP, port, wish if lifetime else 0, lifetime)


def address(data: bytes) -> tuple[IPv4, int] | Refused | None:
    """The router's address and epoch; None if it is no answer to `ASK_ADDRESS`. Routers send it to all, too."""
    epoch = _epoch(data, ADDRESS)
    if not isinstance(epoch, int):
        return epoch
    return (IPv4(data[8:12]), epoch) if len(data) == 12 else None


def mapping(data: bytes, port: int, at: IPv4) -> Granted | Refused | None:
    """What a datagram says of the mapping of our ``port`` at the router's address ``at``; None if it says nothing."""
    epoch = _epoch(data, MAP_UDP)
    if not isinstance(epoch, int):
        return epoch
    if len(data) != _HEAD.size + _MAPPED.size:
        return None
    internal, external, lifetime = _MAPPED.unpack_from(data, _HEAD.size)
    if internal != port or (lifetime and not external):
        return None
    return Granted(at, external, lifetime, epoch)


def _epoch(data: bytes, asked: int) -> int | Refused | None:
    """The epoch in an answer to what was ``asked`` (an opcode), or that it is refused; None if it is no answer."""
    if len(data) < _HEAD.size:
        return None
    version, opcode, result, epoch = _HEAD.unpack_from(data)
    if (version, opcode) != (VERSION, RESPONSE | asked):
        return None
    return Refused(_REASONS.get(result, Why.REFUSED)) if result else int(epoch)
