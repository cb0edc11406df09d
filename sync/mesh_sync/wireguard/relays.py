"""Relays: which of them a pair uses, and which peers' traffic goes through one now. Pure.

Two peers that cannot meet directly send each other's packets to a third one that both reach and that the list allows
to forward (`relay = true`). In WireGuard an allowed IP belongs to one peer only, so relaying is a placement: the
allowed IPs of the peer are on the relay's. mesh-watchdog moves them; where they are is read off the interface, which is
the only memory of it, and what is found there is right for as long as the list allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

from attrs import evolve

from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.live import Live

TRYING = 25
"""Seconds between keepalives to a peer that is relayed: WireGuard goes on trying to reach it directly."""


def in_order(one: str, other: str, relays: Iterable[str], original: Mapping[str, str] = {}) -> tuple[str, ...]:
    """The relays in the order in which the pair ``one``, ``other`` uses them: the same at both ends.

    Other pairs have other orders. All are names of peers, which stay when keys change: a pair's are those that the two
    had first (`pair_name`), and ``original`` has those of relays that were renamed. Rendezvous hashing: when a relay
    comes or goes, only the pairs that used it change theirs (Thaler and Ravishankar, 1998).
    """
    pair = "/".join(sorted((one, other)))

    def place(relay: str) -> tuple[bytes, str]:
        return sha256(f"{pair}/{original.get(relay, relay)}".encode()).digest(), relay

    return tuple(sorted(relays, key=place))


def carried(desired: Desired, live: Live | None) -> dict[str, str]:
    """The peers whose traffic goes through a relay now, and may: by name, the name of the relay.

    It does when the relay has all addresses of the peer. What else is to be sent to the peer follows them.
    """
    if live is None or not desired.relays:
        return {}
    holders: dict[str, str] = {}
    for peer in desired.peers:
        for key in peer.keys if peer.name in desired.relays else ():
            if key in live.peers:
                holders |= dict.fromkeys(live.peers[key].allowed_ips - peer.allowed_ips, peer.name)
    return dict(_held(desired, holders)) if holders else {}


def _held(desired: Desired, holders: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for peer in desired.peers:
        if not may_be_carried(desired, peer):
            continue
        places = {holders.get(address) for address in own_networks(peer.addresses) & peer.allowed_ips}
        if len(places) == 1 and (relay := places.pop()):
            yield peer.name, relay


def may_be_carried(desired: Desired, peer: DesiredPeer) -> bool:
    """Whether a relay may carry what this node and a peer send each other."""
    return not peer.direct_only and peer.name not in desired.relays and bool(desired.relays)


def own_networks(addresses: Iterable[str]) -> frozenset[str]:
    """The addresses of a peer itself, as allowed IPs are written."""
    hosts = (address.partition("/")[0] for address in addresses)
    return frozenset(f"{host}/{128 if ':' in host else 32}" for host in hosts)


def place(desired: Desired, carriers: Mapping[str, str]) -> Desired:
    """The interface with some peers' traffic going through relays; ``carriers``: by name, the name of the relay.

    An exit stays with the peer that offers it: a relay would send such packets out into its own network. A peer that is
    carried has a keepalive, so that WireGuard goes on trying to reach it directly.
    """
    if not carriers:
        return desired
    moved: dict[str, frozenset[str]] = {}
    for peer in desired.peers:
        if peer.name in carriers:
            relay = carriers[peer.name]
            moved[relay] = moved.get(relay, frozenset()) | (peer.allowed_ips - desired.exits)
    return evolve(desired, peers=tuple(_placed(peer, desired, carriers, moved) for peer in desired.peers))


def _placed(
    peer: DesiredPeer, desired: Desired, carriers: Mapping[str, str], moved: Mapping[str, frozenset[str]]
) -> DesiredPeer:
    if peer.name in carriers:
        kept = peer.allowed_ips & desired.exits
        return evolve(peer, allowed_ips=kept, keepalive=peer.keepalive or TRYING)
    if peer.name in moved:
        return evolve(peer, allowed_ips=peer.allowed_ips | moved[peer.name])
    return peer
