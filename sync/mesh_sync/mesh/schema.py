"""The types of `model` as the mesh's files write them: keys, names, addresses, networks, endpoints."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from datetime import date, datetime
from typing import TypeVar

from cattrs.gen import override

from mesh_sync.findings import shown
from mesh_sync.mesh.model import (
    MAX_SECRET,
    Expect,
    Guard,
    Mesh,
    Mtu,
    Peer,
    PeerName,
    Port,
    Preshared,
    PublicKey,
    Seconds,
)
from mesh_sync.mesh.strict import converter, list_of, table
from mesh_sync.typed_toml.fields import LABEL, Hook, between, one_of, peer_name, text
from mesh_sync.wireguard.endpoint import Address, Endpoint, Network

T = TypeVar("T")
FORMAT = 1
MAX_ENDPOINTS = 8
"""Of one peer. Each is a name that every node looks up; a node's own key may write them."""
MAX_ADDRESSES = 16
"""Of one peer; a node's own key may choose them when it makes its file."""


def structure(value: object, kind: type[T]) -> T:
    """Given a parsed TOML table, return it as ``kind``. Raise an error that `strict.problems` can tell apart."""
    return _converter.structure(value, kind)


def _public_key(value: object, _: object) -> PublicKey:
    words = text(value)
    try:
        key = base64.b64decode(words, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32 or base64.b64encode(key).decode() != words:
        raise ValueError(f"{shown(words)} is not a WireGuard key (44 characters of base64)")
    if not any(key):
        raise ValueError("is the all-zero key, which nobody holds")
    return PublicKey(words)


def _address(value: object, _: object) -> Address:
    words = text(value)
    try:
        interface = ipaddress.ip_interface(words)
    except ValueError:
        raise ValueError(f"{shown(words)} is not an IP address") from None
    if interface.network.prefixlen != interface.max_prefixlen:
        raise ValueError(f"{shown(words)} is a network; write the peer's own address, such as {interface.ip}")
    return _plain(interface.ip, words)


def _plain(ip: Address, words: str) -> Address:
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped is not None or ip.scope_id is not None):
        raise ValueError(f"{shown(words)}: mapped and scoped IPv6 addresses cannot be used here")
    return ip


def _network(value: object, _: object) -> Network:
    words = text(value)
    try:
        network = ipaddress.ip_network(words, strict=False)
    except ValueError:
        raise ValueError(f"{shown(words)} is not a network in CIDR notation") from None
    _plain(network.network_address, words)
    if "/" in words and ipaddress.ip_interface(words).ip != network.network_address:
        raise ValueError(f"{shown(words)} has host bits set; the network is {network}")
    if network.is_multicast or network.is_loopback or network.is_link_local:
        raise ValueError(f"{shown(words)} cannot be reached through a tunnel")
    return network


def _endpoint(value: object, _: object) -> Endpoint:
    return Endpoint.parse(text(value))


def _date(value: object, _: object) -> date:
    if not isinstance(value, date):
        raise ValueError(f"must be a date, such as 2027-01-31 without quotes, not {shown(value)}")
    return value


def _endpoints(value: object, target: object) -> tuple[Endpoint, ...]:
    """One endpoint, or a list of them."""
    if isinstance(value, str):
        return (Endpoint.parse(value),)
    many: tuple[Endpoint, ...] = _endpoint_list(_few(value, MAX_ENDPOINTS), target)
    return many


def _few(value: object, most: int) -> object:
    if isinstance(value, list) and len(value) > most:
        raise ValueError(f"has {len(value):,} entries; at most {most} are taken")
    return value


def _some(kind: object, what: str, most: int | None = None) -> Hook:
    hook = list_of(_converter, kind)

    def some(value: object, target: object) -> object:
        if not (items := hook(value if most is None else _few(value, most), target)):
            raise ValueError(f"is empty; {what}")
        return items

    return some


def _format(value: object, _: object) -> int:
    if type(value) is not int or value != FORMAT:
        raise ValueError(f"{shown(value)} is not a format this version reads (only {FORMAT})")
    return value


def _mesh_name(value: object, _: object) -> str:
    words = text(value)
    if not words.strip() or not words.isprintable() or len(words) > 63:
        raise ValueError(f"{shown(words)} is not a name (1 to 63 printable characters)")
    return words


def _zone(value: object, _: object) -> str:
    words = text(value)
    if len(words) > 200 or not all(LABEL.fullmatch(label.removeprefix("_")) for label in words.split(".")):
        raise ValueError(f"{shown(words)} is not a DNS zone in lower case")
    return words


def _moment(value: object, _: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(f"must be a moment, such as 2027-01-31T18:00:00Z without quotes, not {shown(value)}")
    return value


_converter = converter()
_converter.register_structure_hook(date, _date)
_converter.register_structure_hook(PublicKey, _public_key)
_converter.register_structure_hook(PeerName, peer_name)
_converter.register_structure_hook(Port, between(1, 65535, "a port"))
_converter.register_structure_hook(Mtu, between(576, 65535, "an MTU"))
_converter.register_structure_hook(Seconds, between(0, 65535, "a number of seconds"))
_converter.register_structure_hook(Address, _address)
_converter.register_structure_hook(Network, _network)
_converter.register_structure_hook(Endpoint, _endpoint)
_endpoint_list = list_of(_converter, tuple[Endpoint, ...])
_secret_id = between(0, MAX_SECRET, "the id of a secret")
_converter.register_structure_hook(
    Preshared,
    table(
        _converter,
        Preshared,
        secret=override(struct_hook=_secret_id),
        former=override(struct_hook=_secret_id),
        since=override(struct_hook=_moment),
    ),
)
_converter.register_structure_hook(Guard, table(_converter, Guard))
_converter.register_structure_hook(Expect, table(_converter, Expect, source=override(rename="from")))
_converter.register_structure_hook(
    Peer,
    table(
        _converter,
        Peer,
        name=override(omit=True),
        addresses=override(struct_hook=_some(tuple[Address, ...], "a peer needs at least one", MAX_ADDRESSES)),
        endpoint=override(struct_hook=_endpoints),
    ),
)
_converter.register_structure_hook(
    Mesh,
    table(
        _converter,
        Mesh,
        peers=override(omit=True),
        format=override(struct_hook=_format),
        name=override(struct_hook=_mesh_name),
        networks=override(struct_hook=_some(tuple[Network, ...], "every peer address lies in one of these")),
        dns_zone=override(struct_hook=_zone),
        preshared_keys=override(struct_hook=one_of("none", "derived")),
    ),
)
