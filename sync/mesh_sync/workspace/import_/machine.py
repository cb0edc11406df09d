"""What every source is read into: the machines it describes, and what of it cannot be taken over."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence

from attrs import field, frozen

from mesh_sync.errors import ConfigError
from mesh_sync.mesh.addresses import reserved
from mesh_sync.mesh.model import NAT_KEEPALIVE
from mesh_sync.mesh.peer_file import Value
from mesh_sync.wireguard.endpoint import Address, Endpoint, Network

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
MAX_NAME = 63
WIDEST = {4: 8, 6: 32}
"""Prefix lengths: a mesh network guessed from single addresses is no wider than this."""
NARROWEST = {4: 24, 6: 64}
"""... and no narrower, so that there is room for the next peer."""

SETTINGS_LEFT = {
    "DNS": "mesh-sync sets no resolver",
    "FwMark": "mesh-sync chooses the mark itself",
    "PostDown": "commands are not kept in the list",
    "PostUp": "commands are not kept in the list",
    "PreDown": "commands are not kept in the list",
    "PreUp": "commands are not kept in the list",
    "PresharedKey": "secrets are not kept in the list",
    "SaveConfig": "the list is what is kept",
    "Table": "mesh-sync keeps the routes itself",
}
"""Settings of wg-quick that a mesh has no place for, and why."""


@frozen(kw_only=True)
class Machine:
    """One machine, with what the keys of a peer's file need. ``keepalive`` in seconds, None where nobody said."""

    name: str
    public_key: str
    private_key: str = field(default="", repr=False)
    addresses: tuple[Address, ...]
    endpoint: tuple[str, ...] = ()
    subnets: tuple[Network, ...] = ()
    listen_port: int | None = None
    mtu: int | None = None
    keepalive: int | None = None
    via: str = ""
    managed: bool = True
    enabled: bool = True
    tags: tuple[str, ...] = ()
    owner: str = ""

    def values(self, listen_port: int) -> dict[str, Value]:
        """The keys of its file; what the defaults say anyway (``listen_port``: the mesh's) is not written."""
        roams = not self.endpoint or any(_is_name(text) for text in self.endpoint)
        wanted: dict[str, Value | None] = {
            "public_key": self.public_key,
            "addresses": list(map(str, self.addresses)),
            "endpoint": list(self.endpoint),
            "subnets": list(map(str, self.subnets)),
            "listen_port": None if self.listen_port == listen_port else self.listen_port,
            "mtu": self.mtu,
            "persistent_keepalive": None if self.keepalive == (NAT_KEEPALIVE if roams else 0) else self.keepalive,
            "via": self.via or None,
            "managed": None if self.managed else False,
            "enabled": None if self.enabled else False,
            "tags": list(self.tags),
            "owner": self.owner or None,
        }
        return {key: value for key, value in wanted.items() if value is not None and value != []}


@frozen
class Takeover:
    """A whole set-up: machines, the networks their addresses lie in, and a line for everything left behind."""

    machines: tuple[Machine, ...]
    networks: tuple[Network, ...]
    notes: tuple[str, ...]


class Names:
    """Makes peer names, each once, out of what people called their machines."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._taken: set[str] = set()

    def make(self, wanted: str) -> str:
        """A free DNS label like ``wanted``; a note says so when it had to change."""
        label = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:MAX_NAME].strip("-") or "peer"
        name, number = label, 1
        while name in self._taken:
            number += 1
            name = f"{label[: MAX_NAME - 4]}-{number}"
        self._taken.add(name)
        if name != wanted:
            self._notes.append(f"{name}: was called {wanted!r}; names are DNS labels, each once")
        return name


def interface(text: str) -> Interface:
    """An address as wg-quick writes it, with or without a prefix. ValueError for anything else."""
    return ipaddress.ip_interface(text.strip())


def interfaces(texts: Iterable[str], what: str, notes: list[str]) -> Iterator[Interface]:
    """Every usable one; a note for each that is not."""
    for text in texts:
        if text.strip():
            try:
                yield interface(text)
            except ValueError:
                notes.append(f"{what}: {text.strip()!r} is no address or network")


def number(text: str, what: str, notes: list[str]) -> int | None:
    """A whole number, or None for nothing and, with a note, for nonsense. ``off`` is wg's word for 0."""
    text = text.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 9:
        return int(text)
    if text.lower() != "off":
        notes.append(f"{what}: {text!r} is not a number")
    return 0 if text.lower() == "off" else None


def endpoint(host: str, port: str, what: str, notes: list[str]) -> str:
    """``host:port`` as the list has it, IPv6 in brackets; empty, with a note, when it cannot be one."""
    host = host.strip().removeprefix("[").removesuffix("]")
    try:
        return str(Endpoint.parse(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
    except ValueError as error:
        notes.append(f"{what}: {error}")
        return ""


def mesh_networks(addresses: Sequence[Interface], subnets: Sequence[Network], notes: list[str]) -> tuple[Network, ...]:
    """The networks that the addresses were given from, none of which holds a network behind a peer.

    Raise ConfigError when they lie too far apart for a guess.
    """
    found: list[Network] = []
    for version in (4, 6):
        mine = sorted((one for one in addresses if one.version == version), key=lambda one: int(one.ip))
        declared = {one.network for one in mine if 0 < one.network.prefixlen < one.max_prefixlen}
        widest = [one for one in declared if not any(one.prefixlen > o.prefixlen and overlap(one, o) for o in declared)]
        for network in sorted(widest, key=str):
            inside = [one for one in mine if one.ip in network]
            hit = next((subnet for subnet in subnets if subnet.prefixlen and overlap(subnet, network)), None)
            if hit is None:
                found.append(network)
                continue
            found.append(narrow := _around(inside))
            notes.append(f"networks: {narrow} instead of {network}, because {hit} lies behind a peer")
        if rest := [one for one in mine if not any(one.ip in network for network in found)]:
            found.append(guess := _around(rest))
            notes.append(f"networks: {guess} is a guess from single addresses; --network CIDR says it better")
    return tuple(found)


def _around(addresses: Sequence[Interface]) -> Network:
    """The smallest network that has all of them as hosts, within the limits above."""
    version = addresses[0].version
    network: Network = addresses[0].network.__class__((int(addresses[0].ip), addresses[0].max_prefixlen))
    while (
        network.prefixlen > NARROWEST[version]
        or any(one.ip not in network or reserved(one.ip, network) for one in addresses)
    ) and network.prefixlen > WIDEST[version]:
        network = network.supernet()
    if any(one.ip not in network for one in addresses):
        text = f"the addresses {addresses[0].ip} to {addresses[-1].ip} lie too far apart to guess the mesh's networks"
        raise ConfigError(text, hint="say them: --network CIDR, which may be repeated")
    return network


def overlap(one: Network, other: Network) -> bool:
    """Whether two networks, of either family, have an address in common."""
    return one.version == other.version and one.overlaps(other)


def in_mesh(network: Interface, networks: Iterable[Network]) -> bool:
    """Whether an address is one of the mesh's own."""
    return any(network.ip in own for own in networks)


def is_host(network: Interface) -> bool:
    """Whether one machine is meant: wg takes ``10.0.0.1/24`` as well, and means the whole network."""
    return network.network.prefixlen == network.max_prefixlen or network.ip != network.network.network_address


def _is_name(text: str) -> bool:
    return Endpoint.parse(text).address is None
