"""Names in the mesh's zone: those of keys, as wgsd has them (`<b32>._wireguard._udp.ZONE`), and of peers. Pure."""

from __future__ import annotations

import base64
import binascii

import dns.exception
import dns.name

SERVICE = (b"_wireguard", b"_udp")
KEY_LABEL = 56
"""Characters of a key in base32, padding included."""
KEY_SIZE = 32


def zone_name(zone: str) -> dns.name.Name:
    """The zone as a name. Raise ValueError if it cannot be one."""
    try:
        return dns.name.from_text(zone)
    except dns.exception.DNSException as error:
        raise ValueError(f"{zone!r} is not a name of the DNS: {error}") from None


def services(zone: dns.name.Name) -> dns.name.Name:
    """The name that lists all peers."""
    return dns.name.Name((*SERVICE, *zone.labels))


def service(key: str, zone: dns.name.Name) -> dns.name.Name:
    """The name of the peer with this public key. Raise ValueError if it is no key."""
    label = base64.b32encode(base64.b64decode(key, validate=True)).lower()
    return dns.name.Name((label, *services(zone).labels))


def key_of(name: dns.name.Name, zone: dns.name.Name) -> str | None:
    """The public key that the name of a peer stands for, in whatever case it is written; None if it is no such name."""
    if len(name.labels[0]) != KEY_LABEL or name.parent() != services(zone):
        return None
    try:
        key = base64.b32decode(name.labels[0].upper())
    except binascii.Error:
        return None
    return base64.b64encode(key).decode() if len(key) == KEY_SIZE else None


def place(number: int, name: dns.name.Name) -> dns.name.Name:
    """The name of the address in one of several places where the peer of this name may be."""
    return dns.name.Name((str(number).encode(), *name.labels))


def host(peer: str, zone: dns.name.Name) -> dns.name.Name:
    """The name of a peer's mesh addresses."""
    return dns.name.Name((peer.encode(), *zone.labels))
