"""A peer that changes its key has two for a while: which of them carries its traffic. Pure.

The list names both (`public_key`, `next_public_key`), and the interface has a peer for each. Allowed IPs belong to
exactly one of them: to the key under which the machine spoke last, for it has only one at a time. The other one stands
by: without allowed IPs, but trying, so that either side can begin when the machine changes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve

from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.live import Live, LivePeer

STAND_BY = 25
"""Seconds between keepalives to the key that stands by. WireGuard then begins a handshake every 5 s for 90 s, and again
after 25 s (paper, sections 6.1 and 6.5): a machine behind a NAT reaches the new key, and is heard to be prepared."""


def carrier(old: str, new: str, handshakes: Mapping[str, int], moment: float) -> str:
    """Given a peer's two keys and their last handshakes (Unix seconds), return the one that carries its traffic.

    It is the one of the later handshake; at the same second the new one, for that is the way the machine goes. A
    handshake after ``moment`` is from before the clock was set back: any other is later.
    """
    before, after = handshakes.get(old, 0), handshakes.get(new, 0)
    return new if after and (after <= moment, after) >= (before <= moment and before > 0, before) else old


def pairs_of(peers: Iterable[DesiredPeer]) -> dict[str, str]:
    """For each peer that has two keys: the listed one, and the one it is moving to."""
    return {peer.public_key: peer.next_public_key for peer in peers if peer.next_public_key}


def carriers(pairs: Mapping[str, str], handshakes: Mapping[str, int], moment: float) -> dict[str, str]:
    """For each of ``pairs``: the listed key, and the one that carries."""
    return {old: carrier(old, new, handshakes, moment) for old, new in pairs.items()}


def placed(desired: Desired, live: Live | None, moment: float) -> Desired:
    """The interface with a peer for every key: of a peer with two, one carries its traffic and one stands by.

    ``live`` tells who spoke last; without one the listed key carries.
    """
    pairs = pairs_of(desired.peers)
    if not pairs:
        return desired
    found = live.peers if live else {}
    chosen = carriers(pairs, {key: peer.handshake for key, peer in found.items()}, moment)
    peers = (one for peer in desired.peers for one in _split(peer, chosen.get(peer.public_key, ""), found))
    return evolve(desired, peers=tuple(peers))


def _split(peer: DesiredPeer, key: str, live: Mapping[str, LivePeer]) -> Iterator[DesiredPeer]:
    if not key:
        yield peer
        return
    other = peer.next_public_key if key == peer.public_key else peer.public_key
    where = live[key].endpoint if key in live else ""
    yield evolve(peer, public_key=key, next_public_key="")
    yield evolve(
        peer,
        name=f"{peer.name} (other key)",
        public_key=other,
        next_public_key="",
        allowed_ips=frozenset(),
        endpoint=(where,) if where else peer.endpoint,
        keepalive=STAND_BY,
    )
