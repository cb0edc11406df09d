"""The declared mesh as values: what mesh.toml and peers/*.toml mean.

Attribute names are the keys of the files. Nothing here knows about files, time or this machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import NewType

from attrs import field, frozen

from mesh_sync.errors import MeshSyncError
from mesh_sync.mesh.layout import peer_path
from mesh_sync.wireguard.desired import DEFAULT_ZONE
from mesh_sync.wireguard.endpoint import Address, Endpoint, Network

PublicKey = NewType("PublicKey", str)
PeerName = NewType("PeerName", str)
Port = NewType("Port", int)
Mtu = NewType("Mtu", int)
Seconds = NewType("Seconds", int)
Priority = NewType("Priority", int)

DEFAULT_PORT = Port(51820)
NAT_KEEPALIVE = Seconds(25)
"""Seconds; short enough for the UDP timeout of every common NAT (wg(8), persistent-keepalive)."""

MAX_SECRET = 999_999
"""The highest id of a mesh secret; they count up from 1."""
NO_SECRET = 0
"""The id that stands for "no preshared key" in `[preshared]`."""


@frozen(kw_only=True)
class Peer:
    """One machine of the mesh. ``name`` comes from the file's name.

    ``nat_subnet``: what the mesh sees instead of each of the ``subnets``, in their order; empty where it sees these.
    ``priority``: of several peers with the same network, all of which have one, the higher one is sent what is for it
    while it lives. ``via``: others always reach it through that peer; ``relay``: it forwards for pairs that cannot meet
    directly.
    ``machine``: of several that hold its key, the one that it is on now (node.toml says which one a machine is).
    ``dns``, addresses of nameservers and search domains, and ``export_routes``, what it sends into its tunnels instead
    of all that the mesh reaches, are for the exported config of a peer that is not ``managed``.
    ``original_name``: of one that was renamed, the name that its pairs go on using (`pair_name`).
    """

    name: str
    public_key: PublicKey
    addresses: tuple[Address, ...]
    endpoint: tuple[Endpoint, ...] = ()
    subnets: tuple[Network, ...] = ()
    nat_subnet: tuple[Network, ...] = ()
    priority: Priority | None = None
    listen_port: Port | None = None
    mtu: Mtu | None = None
    persistent_keepalive: Seconds | None = None
    via: PeerName | None = None
    relay: bool = False
    exit: PeerName | None = None
    machine: PeerName | None = None
    managed: bool = True
    dns: tuple[str, ...] = ()
    export_routes: tuple[Network, ...] = ()
    enabled: bool = True
    next_public_key: PublicKey | None = None
    original_name: PeerName | None = None
    tags: tuple[str, ...] = ()
    description: str = ""
    owner: str = ""
    expires: date | None = None

    @property
    def announced(self) -> tuple[Network, ...]:
        """The networks behind it as the mesh sees them."""
        return self.nat_subnet or self.subnets

    @property
    def translated(self) -> tuple[tuple[Network, Network], ...]:
        """Those of its subnets that the mesh sees as another network, with that one."""
        return tuple(pair for pair in zip(self.subnets, self.nat_subnet, strict=False) if pair[0] != pair[1])

    @property
    def file(self) -> str:
        return peer_path(self.name)

    @property
    def keys(self) -> frozenset[str]:
        """The key that it has, and the one that it is moving to."""
        return frozenset(key for key in (self.public_key, self.next_public_key) if key)

    @property
    def pair_name(self) -> str:
        """The name by which each pair derives its preshared key and chooses its relay; a rename leaves it as it is."""
        return self.original_name or self.name

    @property
    def ends(self) -> datetime | None:
        """The moment from which an expired peer counts as disabled; a plain date ends with that day, UTC.

        None is never: no date was set, or the last one there is.
        """
        if self.expires is None:
            return None
        if isinstance(self.expires, datetime):
            return self.expires if self.expires.tzinfo else self.expires.replace(tzinfo=UTC)
        if self.expires == date.max:
            return None
        return datetime.combine(self.expires, time.min, UTC) + timedelta(days=1)

    def active(self, moment: datetime) -> bool:
        """Whether the peer is in the mesh at ``moment`` (an aware time)."""
        return self.enabled and (self.ends is None or moment < self.ends)

    @property
    def roams(self) -> bool:
        """Whether its address can change: it has no endpoint, or one that is a name."""
        return not self.endpoint or any(endpoint.address is None for endpoint in self.endpoint)


@frozen(kw_only=True)
class Guard:
    """Limits a commit has to respect."""

    max_removed_peers: int = 3


@frozen(kw_only=True)
class Rollout:
    """Who applies a new commit first: ``canary`` has names and tags of peers.

    The other nodes wait until all of these have confirmed it, and at most ``wait`` seconds.
    """

    canary: tuple[str, ...] = ()
    wait: Seconds = Seconds(60)


@frozen(kw_only=True)
class Expect:
    """One reachability test of the declared mesh: ``source`` is written ``from`` in the file."""

    source: PeerName
    to: str
    reachable: bool = True


@frozen(kw_only=True)
class Preshared:
    """Which mesh secret the pairs' keys come from, and while it changes from which; 0 is none.

    ``since`` is when the pairs begin to move (`wireguard.psk_rollover`).
    """

    secret: int
    former: int | None = None
    since: datetime | None = None


@frozen(kw_only=True)
class Mesh:
    """The whole declared mesh."""

    format: int
    name: str
    networks: tuple[Network, ...]
    listen_port: Port = DEFAULT_PORT
    mtu: Mtu | None = None
    persistent_keepalive: Seconds | None = None
    dns_zone: str = DEFAULT_ZONE
    preshared_keys: str = "none"
    preshared: Preshared | None = None
    exit: PeerName | None = None
    guard: Guard = Guard()
    rollout: Rollout = Rollout()
    expect: tuple[Expect, ...] = ()
    peers: Mapping[str, Peer] = field(factory=dict)

    @property
    def canaries(self) -> frozenset[str]:
        """The nodes that apply a new commit first, by name."""
        asked = frozenset(self.rollout.canary)
        nodes = (peer for peer in self.peers.values() if peer.managed and peer.enabled)
        return frozenset(peer.name for peer in nodes if asked & {peer.name, *peer.tags})

    def keepalive_of(self, peer: Peer) -> int:
        """Seconds between keepalives ``peer`` sends: its own, the mesh's, else 25 where NAT or DDNS needs it."""
        for declared in (peer.persistent_keepalive, self.persistent_keepalive):
            if declared is not None:
                return declared
        return NAT_KEEPALIVE if peer.roams else 0

    def expired(self, moment: datetime) -> Iterator[Peer]:
        """The peers that are out only because they have expired."""
        return (peer for peer in self.peers.values() if peer.enabled and not peer.active(moment))

    def free_addresses(self) -> Iterator[Address]:
        """The lowest free address of each network. Raise MeshSyncError when one is full."""
        taken = {address for peer in self.peers.values() for address in peer.addresses}
        for network in self.networks:
            some: Iterator[Address] = (network[number] for number in range(min(network.num_addresses, len(taken) + 3)))
            free = next((one for one in some if one not in taken and not reserved(one, network)), None)
            if free is None:
                raise MeshSyncError(f"{network} has no free address", hint="add a network to mesh.toml")
            yield free


def reserved(address: Address, network: Network) -> bool:
    """Whether ``address`` names the network (or all of its hosts) and so cannot be a peer's."""
    if network.max_prefixlen - network.prefixlen < 2:
        return False
    broadcast = network.version == 4 and address == network.broadcast_address
    return address == network.network_address or broadcast
