"""Addresses, networks and endpoints: where a machine can be reached. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from contextlib import suppress

from attrs import frozen

from mesh_sync.findings import shown
from mesh_sync.wireguard.elsewhere import no_name, nowhere

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_HOST_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_HOST_LABEL}(\.{_HOST_LABEL})*\.?")
_MAX_HOST = 253
"""Characters of a DNS name as it is written (RFC 1035, section 2.3.4: 255 octets on the wire)."""


@frozen
class Endpoint:
    """Where a peer can be reached: a DNS name or a literal address, and a UDP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Given ``host:port`` or ``[v6]:port``, return the endpoint; ValueError says what is wrong."""
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            raise ValueError(f"{shown(text)} has no port; write host:port")
        if not (port.isascii() and port.isdigit()):
            raise ValueError(f"{shown(text)}: {shown(port)} is not a port number")
        if len(port) > 5 or not 0 < int(port) < 65536:
            raise ValueError(f"{shown(text)}: the port must be 1 to 65535")
        if host.startswith("[") and host.endswith("]"):
            return cls(str(_literal(ipaddress.IPv6Address, host[1:-1], text)), int(port))
        if ":" in host:
            raise ValueError(f"{shown(text)}: write an IPv6 address in brackets, [address]:port")
        if re.fullmatch(r"[0-9.]+", host):
            return cls(str(_literal(ipaddress.IPv4Address, host, text)), int(port))
        if len(host) > _MAX_HOST or not _HOST.fullmatch(host):
            raise ValueError(f"{shown(text)}: {shown(host)} is not a host name")
        if what := no_name(host):
            raise ValueError(f"{shown(text)}: no other machine can be at {shown(host)}: it is {what}")
        return cls(host.lower().rstrip("."), int(port))

    @property
    def address(self) -> Address | None:
        """The literal address, or None for a name."""
        if ":" in self.host or self.host[-1].isdigit():
            return address_in(self.host)
        return None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_in(text: str) -> Address | None:
    """The address that a text is; None for a name, or anything else."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def possible(texts: Iterable[str]) -> tuple[Endpoint, ...]:
    """Those of the endpoints that a peer can have; what was stored by another version may be none."""
    found = []
    for text in texts:
        with suppress(ValueError):
            found.append(Endpoint.parse(text))
    return tuple(found)


def _literal(kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address], host: str, text: str) -> Address:
    try:
        address = kind(host)
    except ValueError:
        raise ValueError(f"{shown(text)}: {shown(host)} is not an IP address") from None
    if what := nowhere(address):
        raise ValueError(f"{shown(text)}: no other machine can be at {host}: it is {what}")
    return address
