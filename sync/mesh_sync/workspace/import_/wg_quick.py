"""A set of wg-quick files: each with a private key is a node, and its [Peer] sections describe others.

What several files say about one public key is merged. AllowedIPs also hold what is relayed; a network belongs
to the peer whose section is the shortest of those that carry it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from attrs import define, field, frozen

from mesh_sync.errors import ConfigError
from mesh_sync.wireguard.endpoint import Address, Network
from mesh_sync.wireguard.keys import is_key, public_key
from mesh_sync.workspace.import_ import wg_conf
from mesh_sync.workspace.import_.fields import (
    PRESHARED,
    SETTINGS_LEFT,
    endpoint,
    interfaces,
    nameservers,
    note_settings,
    number,
    read_text,
)
from mesh_sync.workspace.import_.machine import NO_RENAMES, Endpoints, Machine, Names, Takeover
from mesh_sync.workspace.import_.networks import (
    Interface,
    around,
    exit_part,
    is_host,
    is_network,
    is_own_host,
    mesh_networks,
    overlap,
    within,
)
from mesh_sync.workspace.import_.wg_conf import Conf, Section

MAX_FILE = 1024 * 1024


@frozen
class _File:
    name: str
    conf: Conf
    key: str
    """The public key of the node that it belongs to; empty where that is unknown."""


@frozen(slots=False)
class _Claim:
    """What one file says about a peer."""

    by: _File
    section: Section
    networks: tuple[Interface, ...]

    @cached_property
    def exits(self) -> frozenset[Interface]:
        """Those that are a default route: the file's own node uses the peer as its exit."""
        own = [address.network for address in interfaces(self.by.conf.interface.many("Address"), "", [])]
        return exit_part(one for one in self.networks if one.network not in own)


@define
class _Peer:
    """Everything that is known about one public key."""

    key: str
    own: _File | None = None
    claims: list[_Claim] = field(factory=list)
    addresses: tuple[Interface, ...] = ()
    behind: tuple[Network, ...] = ()
    """Networks in its own `Address`, as wg-gen-web writes them there for a site."""
    called: str = ""
    name: str = ""

    @property
    def interface(self) -> Section:
        return self.own.conf.interface if self.own else Section()

    @property
    def networks(self) -> list[Interface]:
        """What the files carry to it, in their order, without what they send through it as an exit."""
        every = (network for claim in self.claims for network in claim.networks if network not in claim.exits)
        return list(dict.fromkeys(every))

    @property
    def exits(self) -> list[Interface]:
        """Its default routes, as those who use it as an exit have them; whole where any of them has them so."""
        every = dict.fromkeys(network for claim in self.claims for network in claim.networks if network in claim.exits)
        whole = {network.version for network in every if not network.network.prefixlen}
        return [one for one in every if one.version not in whole or not one.network.prefixlen]

    @property
    def partners(self) -> set[str]:
        """The keys of those that it has a tunnel with."""
        sections = self.own.conf.peers if self.own else ()
        return {claim.by.key for claim in self.claims if claim.by.key} | {one.one("PublicKey") for one in sections}


def read(path: Path, networks: tuple[Network, ...], renames: Mapping[str, str] = NO_RENAMES) -> Takeover:
    """Given a wg-quick file or a directory of them, return the setup. ``networks``: guessed if empty.

    Raise ConfigError when there is nothing to read.
    """
    notes: list[str] = []
    peers = _peers(list(_files(path, notes)), notes)
    if not peers:
        hint = "PATH is a file with [Interface] and [Peer], or a directory"
        raise ConfigError(f"{path} describes no peer", hint=hint)
    if not networks:
        networks = _guess(list(peers.values()), notes)
    names = Names(notes, renames)
    for peer in sorted(peers.values(), key=lambda peer: peer.own is None):
        peer.called = _called(peer)
        peer.name = names.make(peer.called, peer.key)
    machines = sorted(_Merger(peers, networks, notes).machines(), key=lambda machine: machine.name)
    return Takeover(tuple(machines), networks, tuple(notes))


def _guess(peers: Sequence[_Peer], notes: list[str]) -> tuple[Network, ...]:
    """The mesh's networks: those of the nodes' own addresses; of the single addresses carried where no file has any."""
    everything = [network for peer in peers for claim in peer.claims for network in claim.networks]
    own = [address for peer in peers for address in peer.addresses]
    exits = {one for peer in peers for one in peer.exits}
    behind = [one.network for one in everything if not is_host(one) and one not in exits]
    behind += (network for peer in peers for network in peer.behind)
    empty = [network for network in behind if not any(one.ip in network for one in own)]
    return mesh_networks(own or [one for one in everything if is_host(one)], empty, notes)


def _files(path: Path, notes: list[str]) -> Iterator[_File]:
    """``DIR/*.conf`` are called by their names, ``DIR/*/wg0.conf`` by their directories'."""
    flat = sorted(path.glob("*.conf")) if path.is_dir() else [path]
    nested = [] if flat else sorted(path.glob("*/*.conf"))
    if not flat and not nested:
        raise ConfigError(f"there is no .conf file in {path}")
    for file in flat or nested:
        conf = wg_conf.parse(read_text(file, notes, MAX_FILE))
        notes += (f"{file.name}: {text}" for text in conf.odd)
        key = conf.interface.one("PrivateKey")
        if not is_key(key):
            which = "no usable PrivateKey" if key else "no PrivateKey"
            notes.append(f"{file.name}: it has {which}, so only what it says about other peers is imported")
        yield _File(file.parent.name if nested else file.stem, conf, public_key(key) if is_key(key) else "")


def _peers(files: Sequence[_File], notes: list[str]) -> dict[str, _Peer]:
    """All that the files describe, by public key: first their own nodes, then what they say about others."""
    own: dict[str, _File] = {}
    for file in files:
        if file.key and own.setdefault(file.key, file) is not file:
            notes.append(f"{file.name}: left out, it has the same PrivateKey as {own[file.key].name}")
    peers: dict[str, _Peer] = {}
    for key, file in own.items():
        listed = list(interfaces(file.conf.interface.many("Address"), f"{file.name}: Address", notes))
        behind = [one.network for one in listed if is_network(one)]
        notes += (f"{file.name}: {one} in Address is a network, and imported as one behind it" for one in behind)
        addresses = tuple(one for one in listed if not is_network(one))
        peers[key] = _Peer(key, file, addresses=addresses, behind=tuple(behind))
        note_settings(file.conf.interface.whole, file.name, notes)
    for file in files:
        last = {
            one.network: section
            for section in file.conf.peers
            for one in interfaces(section.many("AllowedIPs"), "", [])
            if not section.disabled
        }
        for section in file.conf.peers:
            key = section.one("PublicKey")
            if not is_key(key):
                notes.append(f"{file.name}: a [Peer] has no usable PublicKey: left out")
                continue
            of = f"of {section.name or key}"
            if section.one("PresharedKey"):
                notes.append(f"{file.name}: PresharedKey {of} is not imported: {SETTINGS_LEFT['PresharedKey']}")
                notes.append(PRESHARED)
            listed = list(interfaces(section.many("AllowedIPs"), f"{file.name}: AllowedIPs {of}", notes))
            taken = [one for one in listed if last.get(one.network, section).one("PublicKey") != key]
            for one in taken:
                other = last[one.network]
                whose = other.name or other.one("PublicKey")
                notes.append(
                    f"{file.name}: AllowedIPs {of}: {one} is in two sections; wg gives it to the last, {whose}"
                )
            networks = tuple(one for one in listed if one not in taken)
            peers.setdefault(key, _Peer(key)).claims.append(_Claim(file, section, networks))
    return peers


def _called(peer: _Peer) -> str:
    """By its own comment, its file, what others call it, where it is reached, or its first address."""
    file = peer.own.name if peer.own else ""
    named = "" if re.fullmatch(r"wg\d*", file) else file
    others = next((claim.section.name for claim in peer.claims if claim.section.name), "")
    host = next((claim.section.one("Endpoint") for claim in peer.claims), "").rpartition(":")[0]
    label = host.partition(".")[0] if re.search("[a-z]", host) and ":" not in host else ""
    address = next((str(network.ip) for network in peer.networks), "")
    return peer.interface.name or named or others or file or label or f"peer-{address}"


class _Merger:
    """Makes one machine of everything that is known about a key."""

    def __init__(self, peers: Mapping[str, _Peer], networks: tuple[Network, ...], notes: list[str]) -> None:
        self._peers, self._networks, self._notes = peers, networks, notes
        self._owner = {one.ip: key for key, peer in peers.items() for one in peer.addresses}
        self._declared = {*networks, *(one.network for peer in peers.values() for one in peer.addresses)}
        """The mesh's networks, and as the nodes' own files write them."""
        self._holders: dict[Interface, str] = {}
        """Whose each network is: of those that carry it, the one whose section is the shortest."""
        claims = [(claim, peer.key) for peer in peers.values() for claim in peer.claims]
        for claim, key in sorted(claims, key=lambda pair: len(pair[0].networks)):
            for network in claim.networks:
                self._holders.setdefault(network, key)
        self._exit_of = {claim.by.key: key for claim, key in claims if claim.exits and claim.by.key}
        """By which peer each node leaves, both by their keys."""

    def machines(self) -> Iterator[Machine]:
        for peer in self._peers.values():
            if addresses := self._addresses(peer):
                yield self._machine(peer, addresses)
            else:
                hint = "; its file needs an Address, which `wg showconf` does not print" if peer.own else ""
                self._notes.append(f"{peer.name}: left out, nothing says which of the mesh's addresses it has{hint}")

    def _machine(self, peer: _Peer, addresses: tuple[Address, ...]) -> Machine:
        name, interface = peer.name, peer.interface
        where = self._endpoints(peer)
        via = "" if where.usable or where.to_mend else self._relay(peer)
        exit_ = self._peers.get(self._exit_of.get(peer.key, ""))
        if via and peer.own:
            self._note_client(peer, leaves=exit_ is not None)
        return Machine(
            name=name,
            called=peer.called,
            public_key=peer.key,
            private_key=interface.one("PrivateKey"),
            addresses=addresses,
            endpoints=where,
            subnets=tuple(self._subnets(peer)),
            listen_port=number(interface.one("ListenPort"), f"{name}: ListenPort", self._notes),
            mtu=number(interface.one("MTU"), f"{name}: MTU", self._notes),
            keepalive=self._keepalive(peer),
            preshared=any(claim.section.one("PresharedKey") for claim in peer.claims),
            via=via,
            exit=exit_.name if exit_ and self._addresses(exit_) else "",
            managed=bool(peer.own) or not via,
            enabled=bool(peer.own) or not all(claim.section.disabled for claim in peer.claims),
        )

    def _note_client(self, peer: _Peer, *, leaves: bool) -> None:
        """What its own file says of names and routes, which it can keep if it is not to be a node."""
        dns = nameservers(peer.interface.many("DNS"), f"{peer.name}: DNS", [])
        claims = (claim for other in self._peers.values() for claim in other.claims if claim.by is peer.own)
        sent = dict.fromkeys(network.network for claim in claims for network in claim.networks)
        narrow = not leaves and not all(any(within(own, route) for route in sent) for own in self._networks)
        words = [f"--dns {one}" for one in dns] + [f"--export-route {route}" for route in sent if narrow]
        if words:
            how = f"`mesh-sync peer set {peer.name} --unmanaged {' '.join(words)}`"
            self._notes.append(f"{peer.name}: is imported as a node; if it does not run mesh-sync, {how} keeps these")

    def _carried(self, peer: _Peer) -> list[Interface]:
        """The networks that are this peer's, in the order in which the files name them."""
        return [network for network in peer.networks if self._holders[network] == peer.key]

    def _addresses(self, peer: _Peer) -> tuple[Address, ...]:
        """Its own file's, and the hosts of the mesh that are carried to it and belong to no other."""
        hosts = (one.ip for one in self._carried(peer) if self._is_own_host(one))
        mine = (ip for ip in hosts if self._owner.get(ip, peer.key) == peer.key)
        return tuple(dict.fromkeys((*(one.ip for one in peer.addresses), *mine)))

    def _is_own_host(self, one: Interface) -> bool:
        return any(one.ip in own for own in self._networks) and is_own_host(one, self._declared)

    def _subnets(self, peer: _Peer) -> Iterator[Network]:
        yield from dict.fromkeys(one.network for one in peer.exits)
        carried = (one.network for one in self._carried(peer) if not self._is_own_host(one))
        listed = list(dict.fromkeys((*peer.behind, *carried)))
        for network in listed:
            met = [own for own in self._networks if overlap(own, network)]
            outer = next((other for other in listed if other != network and within(network, other)), None)
            if outer and not met:
                self._notes.append(f"{peer.name}: {network} is left out, it is part of {outer}, which is imported")
            elif not met:
                yield network
            elif all(network.prefixlen > own.prefixlen for own in met):
                self._notes.append(f"{peer.name}: {network} is part of the mesh's own {met[0]}: left out")
            elif network not in self._declared:
                self._notes.append(around(peer.name, network, met[0]))

    def _endpoints(self, peer: _Peer) -> Endpoints:
        """All that others know, the most common one first."""
        texts = [text for claim in peer.claims if (text := claim.section.one("Endpoint"))]
        each = [endpoint(*text.rsplit(":", 1)) if ":" in text else endpoint(text, "") for text in texts]
        found = [text for one in each for text in one.usable]
        ordered = sorted(dict.fromkeys(found), key=lambda where: -found.count(where))
        if len(ordered) > 1:
            self._notes.append(f"{peer.name}: the files name several endpoints; all are imported: {', '.join(ordered)}")
        return Endpoints(
            usable=tuple(ordered), to_mend=tuple(dict.fromkeys(bad for one in each for bad in one.to_mend))
        )

    def _keepalive(self, peer: _Peer) -> int | None:
        """What it sends to its peers, when that is one and the same; the shortest otherwise."""
        texts = [section.one("PersistentKeepalive") for section in peer.own.conf.peers] if peer.own else []
        if not any(texts):
            return None
        values = {number(text, f"{peer.name}: PersistentKeepalive", self._notes) or 0 for text in texts}
        shortest = min(values - {0}, default=0)
        if len(values) > 1:
            self._notes.append(f"{peer.name}: it sent keepalives to some peers only; now every {shortest} s to all")
        return shortest

    def _relay(self, peer: _Peer) -> str:
        """A peer without an endpoint that has a tunnel with one other only, which has more: a spoke of it."""
        other = self._peers.get(next(iter(peer.partners), ""))
        if len(peer.partners) != 1 or other is None or len(other.partners) == 1 or not self._addresses(other):
            return ""
        kind = "" if peer.own else ", and unmanaged as it has no file of its own"
        relay = other.name
        self._notes.append(f"{peer.name}: only {relay} had a tunnel with it, so it is reached via {relay}{kind}")
        return relay
