"""The types of `model` as the mesh's files write them: keys, names, addresses, networks, endpoints."""

from __future__ import annotations

import base64
import ipaddress
from datetime import date, datetime

from mesh_sync.findings import shown
from mesh_sync.mesh.model import (
    MAX_SECRET,
    Expect,
    Mesh,
    Mtu,
    Peer,
    PeerName,
    Port,
    Preshared,
    Priority,
    PublicKey,
    Rollout,
    Seconds,
)
from mesh_sync.typed_toml.fields import LABEL, between, one_line, one_of, peer_name, prose, text
from mesh_sync.typed_toml.table import list_of, table
from mesh_sync.wireguard.endpoint import Address, Endpoint, Network

FORMAT = 1
MAX_ENDPOINTS = 8
"""Of one peer. Each is a name that every node looks up; a node's own key may write them."""
MAX_ADDRESSES = 16
"""Of one peer; a node's own key may choose them when it makes its file."""
MAX_SUBNETS = 500
"""Of one peer."""
MAX_NAMESERVERS = 8
"""Of one exported config, search domains included."""
MAX_NETWORKS = 64
MAX_ZONE = 170
"""Characters; with the name of a key in front, a name has at most 255 octets (RFC 1035)."""
MAX_DOMAIN = 253
"""Characters of a search domain (RFC 1035)."""
MAX_EXPECTATIONS = 1000
MAX_TAGS = 64
MAX_DESCRIPTION = 1000
"""Characters; a node's own key may write it."""
MAX_TEXT = 200
"""Characters of any other text that people write."""


def public_key(value: object) -> PublicKey:
    """A hook for the public key of WireGuard."""
    words = text(value)
    try:
        key = base64.b64decode(words, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32 or base64.b64encode(key).decode() != words:
        raise ValueError(f"{shown(words)} is not a WireGuard key (44 characters of base64)")
    if not any(key):
        raise ValueError("is the all-zero key, which no peer can have")
    return PublicKey(words)


def _address(value: object) -> Address:
    words = text(value)
    try:
        address = ipaddress.ip_address(words) if "/" not in words else None
        interface = ipaddress.ip_interface(words) if address is None else None
    except ValueError:
        raise ValueError(f"{shown(words)} is not an IP address") from None
    if address is not None:
        return _usable(address, words)
    assert interface is not None
    if interface.network.prefixlen != interface.max_prefixlen:
        own = max(interface.ip, interface.network[1])
        raise ValueError(f"{shown(words)} is a network; write the peer's own address, such as {own}")
    return _usable(interface.ip, words)


def _usable(ip: Address, words: str) -> Address:
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped is not None or ip.scope_id is not None):
        raise ValueError(f"{shown(words)}: mapped and scoped IPv6 addresses cannot be used here")
    return ip


def _network(value: object) -> Network:
    words = text(value)
    try:
        network = ipaddress.ip_network(words)
    except ValueError:
        raise ValueError(_no_network(words)) from None
    _usable(network.network_address, words)
    if network.is_multicast or network.is_loopback or network.is_link_local:
        raise ValueError(f"{shown(words)} cannot be reached through a tunnel")
    return network


def _no_network(words: str) -> str:
    try:
        network = ipaddress.ip_network(words, strict=False)
    except ValueError:
        return f"{shown(words)} is not a network in CIDR notation"
    return f"{shown(words)} has host bits set; the network is {network}"


def nameserver(value: object) -> str:
    """A hook for the address of a nameserver, or a search domain: what `DNS =` of wg-quick takes."""
    words = text(value)
    try:
        address = ipaddress.ip_address(words)
    except ValueError:
        labels = words.split(".")
        if len(words) > MAX_DOMAIN or not all(map(LABEL.fullmatch, labels)) or labels[-1].isdigit():
            raise ValueError(f"{shown(words)} is neither an IP address nor a domain in lower case") from None
        return words
    return str(_usable(address, words))


def _endpoint(value: object) -> Endpoint:
    return Endpoint.parse(text(value))


def _date(value: object) -> date:
    if not isinstance(value, date):
        raise ValueError(f"must be a date, such as 2027-01-31 without quotes, not {shown(value)}")
    return value


def _endpoints(value: object) -> tuple[Endpoint, ...]:
    """One endpoint, or a list of them."""
    return (_endpoint(value),) if isinstance(value, str) else _endpoint_list(value)


def _format(value: object) -> int:
    if type(value) is not int or value != FORMAT:
        raise ValueError(f"{shown(value)} is not a format this version reads (only {FORMAT})")
    return value


def _mesh_name(value: object) -> str:
    words = text(value)
    if not words.strip() or not words.isprintable() or len(words) > 63:
        raise ValueError(f"{shown(words)} is not a name (1 to 63 printable characters)")
    return words


def _zone(value: object) -> str:
    words = text(value)
    if len(words) > MAX_ZONE or not all(LABEL.fullmatch(label.removeprefix("_")) for label in words.split(".")):
        raise ValueError(f"{shown(words)} is not a DNS zone in lower case")
    return words


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(f"must be a moment, such as 2027-01-31T18:00:00Z without quotes, not {shown(value)}")
    return value


def _networks(value: object) -> tuple[Network, ...]:
    """One network, or a list of them."""
    return (_network(value),) if isinstance(value, str) else _network_list(value)


_network_list = list_of(_network, most=MAX_SUBNETS)
_endpoint_list = list_of(_endpoint, most=MAX_ENDPOINTS)
_secret_id = between(0, MAX_SECRET, "the id of a secret")
_TYPES = {
    str: one_line(MAX_TEXT),
    date: _date,
    PublicKey: public_key,
    PeerName: peer_name,
    Port: between(1, 65535, "a port"),
    Mtu: between(576, 65535, "an MTU"),
    Priority: between(0, 65535, "a priority"),
    Seconds: between(0, 65535, "a number of seconds"),
    Address: _address,
    Network: _network,
    Endpoint: _endpoint,
    Preshared: table(Preshared, secret=_secret_id, former=_secret_id, since=_moment),
}
_TYPES[Rollout] = table(
    Rollout, _TYPES,
    canary=list_of(one_line(MAX_TEXT), most=MAX_TAGS), wait=between(1, 3600, "a number of seconds"),
)  # fmt: skip
_TYPES[Expect] = table(Expect, _TYPES, keys={"source": "from"})
peer_of = table(
    Peer,
    _TYPES,
    keys={"name": None},
    addresses=list_of(_address, most=MAX_ADDRESSES, empty="a peer needs at least one"),
    endpoint=_endpoints,
    subnets=_network_list,
    nat_subnet=_networks,
    dns=list_of(nameserver, most=MAX_NAMESERVERS),
    export_routes=_network_list,
    tags=list_of(one_line(MAX_TEXT), most=MAX_TAGS),
    description=prose(MAX_DESCRIPTION),
)
"""The hook for the table of a peer's file; its caller gives the ``name``, which is the file's."""
mesh_of = table(
    Mesh,
    _TYPES,
    keys={"peers": None},
    format=_format,
    name=_mesh_name,
    networks=list_of(_network, most=MAX_NETWORKS, empty="every peer address lies in one of these"),
    expect=list_of(_TYPES[Expect], most=MAX_EXPECTATIONS),
    dns_zone=_zone,
    preshared_keys=one_of("none", "derived"),
)
"""The hook for the table of mesh.toml; the mesh has no peers yet."""
