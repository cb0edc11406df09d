"""Which of two preshared keys a pair uses while the mesh moves from one secret to the next.

A peer has one preshared key at a time; it is mixed in at the handshake, and a session lives on when it changes. Both
ends decide by what both see, the moment of their last handshake, so that they agree without a word:

- A session that began before the move is renewed with the former key, one that began after it with the newer key. Each
  end has the whole life of a session (120 s) to notice.
- Where that failed (the other end was away and has only the former secret), the session dies, and this end falls back
  to the former key at once; then the two take turns in slots of 90 s. Whichever works stays, until the next try.
- A secret may be retired, or changed in one step, before all pairs have moved. A session that is alive hides that until
  its next handshake, which would fail where the other end has not pulled: so each end holds the former key over.
- No session is disturbed: the key under a session that is alive is only changed as above, and a peer that no packet
  asks for waits with the newer key.
- A peer that changes its public key has the same preshared key under both: the far end, which runs one at a time, goes
  on with what the pair uses.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from attrs import evolve

from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.key_rollover import carrier
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.protocol import INITIATION_SIZE, REJECT_AFTER_TIME, REKEY_AFTER_TIME, is_alive

FIRST = REKEY_AFTER_TIME + 30
"""Seconds after the move in which a pair's next session begins: REKEY_AFTER_TIME, a keepalive's 25 s, and a little."""
TRIES = (0, *(900 << doubled for doubled in range(14)))
"""Seconds after the move at which a pair on the former key tries the newer one: again after a quarter of an hour, then
each time twice as long, for a try costs a peer that is left behind a minute."""
SLOT = 90
"""Seconds in which one key stays: more than the minute between two runs on a node."""

MOVING = 360
"""Seconds from the move until all pairs have moved: a session's life, 5 minutes at most, and a minute between runs."""


def key_of(peer: DesiredPeer, live: LivePeer | None, *, asked: bool, moment: float) -> str:
    """The preshared key that this peer should have now.

    ``asked``: whether a dead peer's counters grew lately by a handshake initiation: something wants it.
    """
    newer, former = peer.preshared_key, peer.former_key
    if former is None:
        return newer
    if peer.moves_at is not None and moment < peer.moves_at:
        return former
    present = live.preshared_key if live and live.preshared_key in (newer, former) else newer
    handshake = live.handshake if live else 0
    if is_alive(handshake, moment):
        return _renewed_with(peer, handshake, present, former)
    if not asked:
        return present if peer.moves_at is None and peer.held_until is None else newer
    if moment - handshake < REJECT_AFTER_TIME + SLOT:
        return former
    return former if int(moment // SLOT) % 2 else newer


def _renewed_with(peer: DesiredPeer, handshake: int, present: str, former: str) -> str:
    """The key for the next handshake of a session that is alive. One that is not managed is moved by hand.

    One that is held over leaves the former key at once, and goes back to it if that fails.
    """
    if peer.moves_at is None:
        at_once = peer.held_until is not None and handshake <= peer.held_until - MOVING
        return peer.preshared_key if at_once else present
    if handshake < peer.moves_at:
        return former
    since = handshake - peer.moves_at
    return peer.preshared_key if any(moment <= since < moment + FIRST for moment in TRIES) else present


def overlapping(desired: Desired) -> bool:
    """Whether any pair has two keys."""
    return any(peer.former_key is not None for peer in desired.peers)


def held_over(desired: Desired, before: Desired | None, by_hand: Container[str], moment: float) -> Desired:
    """The interface with the key that a pair had ``before``, where the list no longer names it and it may be needed.

    ``by_hand``: names of peers that are not managed. It is due when the first pair has to do without, or when the clock
    turns out to have been ahead: then the former key is kept no longer than it would have been.
    """
    known = {key: peer for peer in (before.peers if before else ()) for key in peer.keys}

    def one(peer: DesiredPeer) -> DesiredPeer:
        was = next((known[key] for key in peer.keys if key in known), None) if peer.name not in by_hand else None
        return _held(peer, was, moment) if was else peer

    peers = tuple(map(one, desired.peers))
    ends = [peer.held_until for peer in peers if peer.held_until is not None]
    if not ends:
        return desired
    begun = [peer.held_until - MOVING for peer in peers if peer.held_until is not None and peer.moves_at is None]
    since = max([*begun, *([] if desired.valid_from is None else [desired.valid_from])], default=None)
    return evolve(desired, peers=peers, valid_until=min([*ends, desired.valid_until or ends[0]]), valid_from=since)


def _held(peer: DesiredPeer, was: DesiredPeer, moment: float) -> DesiredPeer:
    if peer.former_key is not None:
        return peer
    if was.preshared_key != peer.preshared_key:  # in one step
        return evolve(peer, former_key=was.preshared_key, held_until=moment + MOVING)
    if was.held_until is not None and moment < was.held_until:
        until = was.held_until if was.moves_at is not None else min(was.held_until, moment + MOVING)
        return evolve(peer, former_key=was.former_key, moves_at=was.moves_at, held_until=until)
    if was.held_until is not None or was.moves_at is None or moment >= was.moves_at + MOVING:
        return peer
    if moment < was.moves_at:
        return evolve(peer, former_key=was.former_key, moves_at=was.moves_at, held_until=was.moves_at + MOVING)
    return evolve(peer, former_key=was.former_key, held_until=moment + MOVING)


def settled(desired: Desired, live: Live | None, last: Mapping[str, int], moment: float) -> Desired:
    """The interface with one key for each pair. ``last``: what `counters` said at the look before this one."""
    if not overlapping(desired):
        return desired
    peers = live.peers if live else {}
    handshakes = {key: peer.handshake for key, peer in peers.items()}
    grown = {key for key, total in counters(live).items() if total - last.get(key, total) >= INITIATION_SIZE}

    def one(peer: DesiredPeer) -> DesiredPeer:
        asked, other = not grown.isdisjoint(peer.keys), peer.next_public_key
        used = carrier(peer.public_key, other, handshakes, moment) if other else peer.public_key
        key = key_of(peer, peers.get(used), asked=asked, moment=moment)
        return evolve(peer, preshared_key=key, former_key=None, moves_at=None, held_until=None)

    return evolve(desired, peers=tuple(map(one, desired.peers)))


def counters(live: Live | None) -> dict[str, int]:
    """Bytes sent and received, by public key."""
    return {key: peer.rx_bytes + peer.tx_bytes for key, peer in live.peers.items()} if live else {}


def having_either(desired: Desired, live: Live | None) -> frozenset[str]:
    """The peers, by public key, that have one of two keys that are right: that is no drift."""
    found = live.peers if live else {}
    return frozenset(
        key
        for peer in desired.peers
        if peer.former_key is not None
        for key in peer.keys
        if key in found and found[key].preshared_key in (peer.preshared_key, peer.former_key)
    )
