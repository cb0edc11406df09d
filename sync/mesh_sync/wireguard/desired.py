"""What one node's interface should be, derived from the mesh, and kept as the last applied state.

Holds no private key: that one stays in its file. Everything is plain text and numbers, so that the cheap path
of `now` compares it with what `wg` and `ip` print without building a mesh.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from attrs import evolve, field, frozen

DEFAULT_MTU = 1420
"""Bytes: 1500 less the 80 that WireGuard over IPv6 takes; what wg-quick arrives at on Ethernet."""
EXIT_TABLE = 51820
"""Routing table and firewall mark of an interface that carries a default route; wg-quick's choice."""
DEFAULT_ZONE = "mesh.internal"
"""In which peers have names; the public DNS leaves `.internal` unused (ICANN, 2024)."""
CONF_MARK = "Written by mesh-sync: change the mesh repository, not this file."
"""On the first line of every wg0.conf that is ours."""


@frozen(cache_hash=True)
class DesiredPeer:
    """One `[Peer]` of this node; ``keepalive`` in seconds, 0 = off; ``next_public_key`` the key it is moving to.

    ``former_key``: the preshared key that is right too while the mesh moves to another secret, empty for none at all;
    None when it does not. ``moves_at``: when the pair leaves it (Unix seconds), None if by hand, or at once where it is
    held over: the list no longer names it, and this node falls back to it until ``held_until``. See `psk_rollover`.
    ``ends``: when the peer expires (Unix seconds). ``managed``: it follows the list itself, and has a watchdog.
    ``direct_only``: no relay may carry its traffic. ``original_name``: see `pair_name`; empty if it is its name.
    """

    name: str
    public_key: str
    addresses: tuple[str, ...]
    allowed_ips: frozenset[str]
    endpoint: tuple[str, ...] = ()
    keepalive: int = 0
    preshared_key: str = field(default="", repr=False)
    next_public_key: str = ""
    former_key: str | None = field(default=None, repr=False)
    moves_at: float | None = None
    held_until: float | None = None
    ends: float | None = None
    managed: bool = True
    direct_only: bool = False
    original_name: str = ""

    @property
    def pair_name(self) -> str:
        """What the two ends of the pair call the peer when they derive a key or choose a relay, renamed or not."""
        return self.original_name or self.name

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.public_key, self.next_public_key) if self.next_public_key else (self.public_key,)


@frozen
class Desired:
    """One node's whole interface.

    ``routes`` are those of the main table, where the longest prefix decides; ``exit_routes`` those of `EXIT_TABLE`,
    which the tunnel's own packets pass by: default routes, and those ``covering`` what has to stay outside.
    ``mtu``: 0 where the ways to the peers decide (see `mtu`). ``relay``: others reach each other through this node;
    ``relays``: the names of the peers that may carry this node's own traffic to others (see `relays`).
    ``gateways``: networks that several peers lead to, and the names of these, the first choice first; that one has
    the network among its allowed IPs here (see `gateways`).
    ``sysctls``: paths below /proc/sys that have to be 1; ``firewall``: nftables rules (see `firewall`).
    ``subnets``: the networks behind this node; ``translated``: those that the mesh sees as another network, each
    with that one; ``passages``: what has to be forwarded for them, and between peers (see
    `forward_chains`).
    It is right from ``valid_from``, when the last of the peers that are out expired, until ``valid_until``, when the
    next one expires (Unix seconds); before and after, it has to be derived again. ``other_key``: while this node
    changes its key, the list names two; ``public_key`` is the one it runs. ``zone``: the mesh's own part of the DNS.
    ``machine``: the one that the list has this node on, empty where it is on one only. ``original_name``: as a peer's.
    """

    mesh: str
    name: str
    public_key: str
    listen_port: int
    mtu: int
    addresses: frozenset[str]
    routes: frozenset[str]
    peers: tuple[DesiredPeer, ...]
    relay: bool = False
    relays: frozenset[str] = frozenset()
    gateways: tuple[tuple[str, tuple[str, ...]], ...] = ()
    sysctls: frozenset[str] = frozenset()
    firewall: frozenset[str] = frozenset()
    valid_until: float | None = None
    valid_from: float | None = None
    other_key: str = ""
    exit_routes: frozenset[str] = frozenset()
    covering: frozenset[str] = frozenset()
    subnets: frozenset[str] = frozenset()
    translated: frozenset[tuple[str, str]] = frozenset()
    passages: frozenset[str] = frozenset()
    zone: str = DEFAULT_ZONE
    machine: str = ""
    original_name: str = ""

    @property
    def pair_name(self) -> str:
        """What the two ends of each pair call this node (`DesiredPeer.pair_name`)."""
        return self.original_name or self.name

    @property
    def exits(self) -> frozenset[str]:
        """Of `exit_routes` those that the list gives: an exit's."""
        return self.exit_routes - self.covering

    @property
    def exit_versions(self) -> frozenset[int]:
        """The IP versions that have rules for `exit_routes`: 4, 6."""
        return frozenset(6 if ":" in route else 4 for route in self.exit_routes)

    @property
    def fwmark(self) -> int:
        """Mark of the tunnel's own packets, which keeps them out of `exit_routes`; 0 when there are none."""
        return EXIT_TABLE if self.exit_routes else 0

    def is_elsewhere(self, machine: str) -> bool:
        """Whether the list has this node on another machine than this one, which then stands by."""
        return self.machine not in ("", machine)

    @property
    def owned(self) -> Owned:
        return Owned(
            frozenset(key for peer in self.peers for key in peer.keys),
            self.addresses,
            self.routes,
            self.exit_routes,
        )

    def is_due(self, moment: float) -> bool:
        """Whether it is not right at ``moment`` (Unix seconds): a peer has expired since, or has not expired yet."""
        early = self.valid_from is not None and moment < self.valid_from
        return early or (self.valid_until is not None and moment >= self.valid_until)

    @property
    def has_dates(self) -> bool:
        """Whether anything in it depends on the time."""
        return self.valid_from is not None or self.valid_until is not None

    def without_expired(self, moment: float) -> Desired:
        """The same without the peers that have expired, and their routes: for when the list itself cannot be read.

        It remembers from when that is right, so that a clock that was wrong takes no peer away for good.
        A relay's own peers that have expired stay in what is routed to it: the relay itself drops them.
        """
        left = tuple(peer for peer in self.peers if peer.ends is None or moment < peer.ends)
        left, gateways = _taken_over(left, self.gateways)
        expired = [peer for peer in self.peers if peer.ends is not None and peer.ends <= moment]
        ends = [peer.ends for peer in expired if peer.ends is not None]
        since = max([*ends, *([] if self.valid_from is None else [self.valid_from])], default=None)
        gone = {ip for peer in expired for ip in peer.allowed_ips}
        gone -= {ip for peer in left for ip in peer.allowed_ips}
        until = min((peer.ends for peer in left if peer.ends is not None), default=self.valid_until)
        names = ("routes", "exit_routes", "covering")
        routes = {name: getattr(self, name) - gone for name in names}
        return evolve(self, peers=left, gateways=gateways, valid_until=until, valid_from=since, **routes)


def _taken_over(
    left: tuple[DesiredPeer, ...], gateways: tuple[tuple[str, tuple[str, ...]], ...]
) -> tuple[tuple[DesiredPeer, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """The peers that are left, and who leads to what now: the first one of those that are left has the network."""
    names = {peer.name for peer in left}
    kept = [(network, tuple(name for name in each if name in names)) for network, each in gateways]
    firsts: dict[str, set[str]] = {}
    for network, each in kept:
        firsts.setdefault(each[0] if each else "", set()).add(network)
    peers = (evolve(one, allowed_ips=one.allowed_ips | firsts[one.name]) if one.name in firsts else one for one in left)
    return tuple(peers), tuple((network, each) for network, each in kept if len(each) > 1)


@frozen
class Owned:
    """What mesh-sync may have put on the interface, ever: only this is taken away again."""

    peers: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    exit_routes: frozenset[str] = frozenset()

    def __or__(self, other: Owned) -> Owned:
        return Owned(
            self.peers | other.peers,
            self.addresses | other.addresses,
            self.routes | other.routes,
            self.exit_routes | other.exit_routes,
        )


def soonest(moments: Iterable[datetime | None]) -> float | None:
    """The earliest of some moments, in Unix seconds."""
    known = [moment.timestamp() for moment in moments if moment]
    return min(known) if known else None
