"""Names in the mesh's zone: those of keys, as wgsd has them (`<b32>._wireguard._udp.ZONE`), and of peers. Pure."""

from __future__ import annotations

import base64
import binascii

import dns.exception
import dns.name

from mesh_sync.wireguard.desired import DEFAULT_ZONE

SERVICE = (b"_wireguard", b"_udp")
KEY_LABEL = 56
"""Characters of a key in base32, padding included."""
KEY_SIZE = 32


def zone_name(zone: str) -> dns.name.Name:
    """The zone as a name; the default where the text is no name, or leaves no room for a key."""
    try:
        name = dns.name.from_text(zone)
        place(0, service(base64.b64encode(bytes(KEY_SIZE)).decode(), services(name)))
    except dns.exception.DNSException:
        return dns.name.from_text(DEFAULT_ZONE)
    return name


def services(zone: dns.name.Name) -> dns.name.Name:
    """The name that lists all peers; those of keys lie below it."""
    return dns.name.Name((*SERVICE, *zone.labels))


def fleet(zone: dns.name.Name) -> dns.name.Name:
    """The name of what this node says of itself."""
    return dns.name.Name((b"_fleet", *zone.labels))


def service(key: str, services: dns.name.Name) -> dns.name.Name:
    """The name of the peer with this public key. Raise ValueError if it is no key."""
    label = base64.b32encode(base64.b64decode(key, validate=True)).lower()
    return dns.name.Name((label, *services.labels))


def key_of(name: dns.name.Name, services: dns.name.Name) -> str | None:
    """The public key that the name of a peer stands for, in any case of letters; None if it is no such name."""
    if len(name.labels) != len(services.labels) + 1 or len(name.labels[0]) != KEY_LABEL or name.parent() != services:
        return None
    try:
        key = base64.b32decode(name.labels[0].upper())
    except binascii.Error:
        return None
    return base64.b64encode(key).decode() if len(key) == KEY_SIZE else None


def place(number: int, name: dns.name.Name) -> dns.name.Name:
    """The name that has the address of one of several places where the peer of this name may be."""
    return dns.name.Name((str(number).encode(), *name.labels))


def host(peer: str, zone: dns.name.Name) -> dns.name.Name:
    """The name of a peer's mesh addresses."""
    return dns.name.Name((peer.encode(), *zone.labels))
