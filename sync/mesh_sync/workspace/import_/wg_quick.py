"""A set of wg-quick files: each with a private key is a node, and its [Peer] sections describe others.

What several files say about one public key is merged. AllowedIPs also hold what is relayed; a network belongs
to the peer whose section is the shortest of those that carry it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import define, field, frozen

from mesh_sync.errors import ConfigError
from mesh_sync.wireguard.endpoint import Address, Network
from mesh_sync.wireguard.keys import is_key, public_key
from mesh_sync.workspace.import_ import wg_conf
from mesh_sync.workspace.import_.fields import endpoint, interfaces, number
from mesh_sync.workspace.import_.machine import SETTINGS_LEFT, Machine, Names, Takeover
from mesh_sync.workspace.import_.networks import Interface, in_mesh, is_host, mesh_networks, overlap
from mesh_sync.workspace.import_.wg_conf import Conf, Section

MAX_FILE = 1024 * 1024


@frozen
class _File:
    name: str
    conf: Conf
    key: str
    """The public key of the node that it belongs to; empty where that is unknown."""


@frozen
class _Claim:
    """What one file says about a peer."""

    by: _File
    section: Section
    networks: tuple[Interface, ...]


@define
class _Known:
    """Everything that is known about one public key."""

    key: str
    own: _File | None = None
    claims: list[_Claim] = field(factory=list)
    addresses: tuple[Interface, ...] = ()


def read(path: Path, networks: tuple[Network, ...]) -> Takeover:
    """Given a wg-quick file or a directory of them, return the setup. ``networks``: guessed if empty.

    Raise ConfigError when there is nothing to read.
    """
    notes: list[str] = []
    files = list(_files(path, notes))
    known = _known(files, notes)
    if not known:
        raise ConfigError(
            f"{path} describes no peer",
            hint="PATH is a file with [Interface] and [Peer], or a directory",
        )
    everything = [network for peer in known.values() for claim in peer.claims for network in claim.networks]
    own = [address for peer in known.values() for address in peer.addresses]
    own += [one for one in everything if is_host(one) and one.network.prefixlen < one.max_prefixlen]
    if not networks:
        behind = [one.network for one in everything if not is_host(one)]
        networks = mesh_networks(own or [one for one in everything if is_host(one)], _behind_peers(behind, own), notes)
    names = Names(notes)
    called = {peer.key: names.make(_name(peer)) for peer in sorted(known.values(), key=lambda peer: peer.own is None)}
    machines = _Merger(known, called, networks, notes).machines()
    ordered = tuple(sorted(machines, key=lambda machine: machine.name))
    return Takeover(ordered, networks, tuple(notes))


def _behind_peers(networks: Sequence[Network], own: Sequence[Interface]) -> list[Network]:
    """The networks in which no machine has an address."""
    return [network for network in networks if not any(one.ip in network for one in own)]


def _files(path: Path, notes: list[str]) -> Iterator[_File]:
    """``DIR/*.conf`` are called by their names, ``DIR/*/wg0.conf`` by their directories'."""
    flat = sorted(path.glob("*.conf")) if path.is_dir() else [path]
    nested = [] if flat else sorted(path.glob("*/*.conf"))
    if not flat and not nested:
        raise ConfigError(f"there is no .conf file in {path}")
    for file in flat or nested:
        try:
            text = file.read_text() if file.stat().st_size <= MAX_FILE else ""
        except OSError as error:
            raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{file} is not a text file") from None
        conf = wg_conf.parse(text)
        name = file.parent.name if nested else file.stem
        notes += (f"{file.name}: line {line} is not a setting of wg-quick" for line in conf.odd)
        key = conf.interface.one("PrivateKey")
        if not is_key(key):
            which = "no usable PrivateKey" if key else "no PrivateKey"
            notes.append(f"{file.name}: it has {which}, so only what it says about other peers is imported")
        yield _File(name, conf, public_key(key) if is_key(key) else "")


def _known(files: Sequence[_File], notes: list[str]) -> dict[str, _Known]:
    known: dict[str, _Known] = {}
    for file in files:
        if not file.key:
            continue
        peer = known.setdefault(file.key, _Known(file.key))
        if peer.own is not None:
            notes.append(f"{file.name}: left out, it has the same PrivateKey as {peer.own.name}")
            continue
        peer.own = file
        addresses = file.conf.interface.many("Address")
        peer.addresses = tuple(interfaces(addresses, f"{file.name}: Address", notes))
        for setting, why in SETTINGS_LEFT.items():
            if file.conf.interface.one(setting):
                notes.append(f"{file.name}: {setting} is not imported: {why}")
    for file in files:
        for section in file.conf.peers:
            key = section.one("PublicKey")
            if not is_key(key):
                notes.append(f"{file.name}: a [Peer] has no usable PublicKey: left out")
                continue
            if section.one("PresharedKey"):
                why = SETTINGS_LEFT["PresharedKey"]
                notes.append(f"{file.name}: PresharedKey of {section.name or key} is not imported: {why}")
            what = f"{file.name}: AllowedIPs of {section.name or key}"
            networks = tuple(interfaces(section.many("AllowedIPs"), what, notes))
            known.setdefault(key, _Known(key)).claims.append(_Claim(file, section, networks))
    return known


def _name(peer: _Known) -> str:
    """By its own comment, its file, what others call it, where it is reached, or its first address."""
    file = peer.own.name if peer.own else ""
    others = next((claim.section.name for claim in peer.claims if claim.section.name), "")
    host = next((claim.section.one("Endpoint") for claim in peer.claims), "").rpartition(":")[0]
    label = host.partition(".")[0] if re.search("[a-z]", host) and ":" not in host else ""
    address = next((str(network.ip) for claim in peer.claims for network in claim.networks), "")
    own = peer.own.conf.interface.name if peer.own else ""
    named = "" if re.fullmatch(r"wg\d*", file) else file
    return own or named or others or file or label or f"peer-{address}"


class _Merger:
    """Makes one machine of everything that is known about a key."""

    def __init__(
        self, known: Mapping[str, _Known], names: Mapping[str, str], networks: tuple[Network, ...], notes: list[str]
    ) -> None:
        self._known, self._names, self._networks, self._notes = known, names, networks, notes
        self._holders = self._carriers()

    def machines(self) -> Iterator[Machine]:
        for peer in self._known.values():
            addresses = self._addresses(peer)
            if not addresses:
                self._notes.append(
                    f"{self._names[peer.key]}: left out, nothing says which of the mesh's addresses it has"
                )
                continue
            yield self._machine(peer, addresses)

    def _machine(self, peer: _Known, addresses: tuple[Address, ...]) -> Machine:
        name = self._names[peer.key]
        where = self._endpoints(peer)
        interface = peer.own.conf.interface if peer.own else Section({})
        via = "" if where else self._relay(peer)
        return Machine(
            name=name,
            public_key=peer.key,
            private_key=interface.one("PrivateKey"),
            addresses=addresses,
            endpoint=where,
            subnets=tuple(self._subnets(peer)),
            listen_port=number(interface.one("ListenPort"), f"{name}: ListenPort", self._notes),
            mtu=number(interface.one("MTU"), f"{name}: MTU", self._notes),
            keepalive=self._keepalive(peer),
            via=via,
            managed=bool(peer.own) or not via,
        )

    def _carriers(self) -> dict[Interface, str]:
        """Whose each network is: of those that carry it, the one whose section is the shortest."""
        shortest: dict[Interface, tuple[int, str]] = {}
        for peer in self._known.values():
            for claim in peer.claims:
                for network in claim.networks:
                    rank = (len(claim.networks), peer.key)
                    if network not in shortest or rank[0] < shortest[network][0]:
                        shortest[network] = rank
        return {network: key for network, (_, key) in shortest.items()}

    def _carried(self, peer: _Known) -> list[Interface]:
        """The networks that are this peer's, in the order in which the files name them."""
        named = dict.fromkeys(network for claim in peer.claims for network in claim.networks)
        return [network for network in named if self._holders[network] == peer.key]

    def _addresses(self, peer: _Known) -> tuple[Address, ...]:
        """Its own file's; else the hosts of the mesh that are carried to it and belong to no other."""
        if peer.addresses:
            return tuple(dict.fromkeys(one.ip for one in peer.addresses))
        owned = {one.ip for other in self._known.values() for one in other.addresses}
        hosts = [one.ip for one in self._carried(peer) if is_host(one) and in_mesh(one, self._networks)]
        return tuple(dict.fromkeys(ip for ip in hosts if ip not in owned))

    def _subnets(self, peer: _Known) -> Iterator[Network]:
        name = self._names[peer.key]
        if self._is_exit(peer):
            yield from dict.fromkeys(one.network for claim in peer.claims for one in claim.networks if _default(one))
        elif users := [claim.by.name for claim in peer.claims if any(map(_default, claim.networks))]:
            self._notes.append(
                f"{name}: only {', '.join(users)} sent everything through it; `mesh-sync peer set {name} "
                "--subnet 0.0.0.0/0` would make every node do so: left out"
            )
        for one in self._carried(peer):
            if _default(one) or (is_host(one) and in_mesh(one, self._networks)):
                continue
            within = [own for own in self._networks if overlap(own, one.network)]
            if not within:
                yield one.network
            elif all(one.network.prefixlen > own.prefixlen for own in within):
                self._notes.append(f"{name}: {one.network} is part of the mesh's own {within[0]}: left out")

    def _is_exit(self, peer: _Known) -> bool:
        """Whether every other node sends everything through it."""
        nodes = {other.key for other in self._known.values() if other.own and other is not peer}
        users = {claim.by.key for claim in peer.claims if any(map(_default, claim.networks))}
        return bool(users) and nodes <= users

    def _endpoints(self, peer: _Known) -> tuple[str, ...]:
        """All that others know, the most common one first."""
        found: list[str] = []
        for claim in peer.claims:
            if text := claim.section.one("Endpoint"):
                host, _, port = text.rpartition(":")
                what = f"{claim.by.name}: Endpoint of {self._names[peer.key]}"
                found += [where] if (where := endpoint(host, port, what, self._notes)) else []
        ordered = sorted(dict.fromkeys(found), key=lambda where: -found.count(where))
        if len(ordered) > 1:
            name = self._names[peer.key]
            self._notes.append(f"{name}: the files name several endpoints; all are imported: {', '.join(ordered)}")
        return tuple(ordered)

    def _keepalive(self, peer: _Known) -> int | None:
        """What it sends to its peers, when that is one and the same; the shortest otherwise."""
        if peer.own is None:
            return None
        name = self._names[peer.key]
        texts = [section.one("PersistentKeepalive") for section in peer.own.conf.peers]
        values = {number(text, f"{name}: PersistentKeepalive", self._notes) or 0 for text in texts}
        if not any(texts) or not values:
            return None
        shortest = min(values - {0}, default=0)
        if len(values) > 1:
            self._notes.append(f"{name}: it sent keepalives to some peers only; now every {shortest} s to all")
        return shortest

    def _relay(self, peer: _Known) -> str:
        """A peer without an endpoint that has a tunnel with one other only, which has more: a spoke of it."""
        partners = self._partners(peer)
        other = self._known.get(next(iter(partners), ""))
        if len(partners) != 1 or other is None or len(self._partners(other)) == 1:
            return ""
        name, relay = self._names[peer.key], self._names[other.key]
        kind = "" if peer.own else ", and unmanaged as it has no file of its own"
        self._notes.append(f"{name}: only {relay} had a tunnel with it, so it is reached via {relay}{kind}")
        return relay

    def _partners(self, peer: _Known) -> set[str]:
        """The keys of those that it has a tunnel with."""
        sections = peer.own.conf.peers if peer.own else ()
        return {claim.by.key for claim in peer.claims if claim.by.key} | {one.one("PublicKey") for one in sections}


def _default(network: Interface) -> bool:
    return network.network.prefixlen == 0
