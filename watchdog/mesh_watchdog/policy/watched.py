"""Which peers are asked for a sign of life. In a large mesh only some, for what is sent grows with their number. Pure.

WireGuard itself needs no watching: the first packet to a peer begins a handshake, and one that is not answered is
traffic, which has the peer watched from then on.
"""

from __future__ import annotations

import zlib
from collections.abc import Container, Iterable
from heapq import nlargest

from attrs import evolve

from mesh_watchdog.policy.anchors import ANCHORS
from mesh_watchdog.policy.crowd import TURN, is_large
from mesh_watchdog.policy.peer import NEW, SAMPLE, SEARCHING, UP, PeerState
from mesh_watchdog.policy.peer_step import is_at_ease, is_passed
from mesh_watchdog.policy.state import State

IN_USE = 180.0
"""Seconds for which a peer is watched after there was traffic: as long as a session lasts."""
CARRIED = 32
"""Peers that a relay carries that are always watched, those that it has carried for the shortest time; others have
their turn with the sample, and are taken back as soon as they are heard."""
TOGETHER = 15.0
"""Seconds; those whose time has come are asked at its multiples, as in `peer_step`."""
AWAITED = 60.0
"""A peer that has others look for this node is watched for so long."""


def seen_to(state: State, busy: Iterable[str], moment: float) -> dict[str, PeerState]:
    """The ``busy`` peers that may want something now. In a large mesh those that are watched."""
    if not is_large(state.peers):
        return {key: peer for key, peer in state.peers.items() if not is_at_ease(peer, moment)}
    kept, found = always(state), dict[str, PeerState]()
    for key in busy:
        peer = state.peers[key]
        if not is_at_ease(peer, moment) and (key in kept or _is_watched(peer, moment)):
            found[key] = _awake(peer, moment)
    return found


def resting(state: State, busy: Iterable[str], seen_to: Container[str], moment: float) -> dict[str, PeerState]:
    """The peers that are not watched any more; the next search for a silent one is that of the sample."""
    if not is_large(state.peers):
        return {}
    rested = dict[str, PeerState]()
    for key in busy:
        before = peer = state.peers[key]
        if not _is_within(peer.used, IN_USE, moment) and not _is_within(peer.sought, AWAITED, moment):
            peer = _forgetting(peer)
        if peer.silent and key not in seen_to and peer.next_round < peer.next_sample:
            peer = evolve(peer, phase=SEARCHING, next_round=peer.next_sample)
        if peer is not before:
            rested[key] = peer
    return rested


def _forgetting(peer: PeerState) -> PeerState:
    """Without what no longer has it watched."""
    return peer if peer.used is None and peer.sought is None else evolve(peer, used=None, sought=None)


def is_asked_with_all(key: str, peer: PeerState, state: State, moment: float) -> bool:
    """Whether a peer is asked when all are, after this machine's network changed (R5): it may send to where we were."""
    if not is_large(state.peers):
        return True
    lately = peer.lived and moment - peer.heard < IN_USE
    return lately or key in always(state) or _is_watched(peer, moment)


def always(state: State) -> set[str]:
    """The anchors, the relays and some of what those carry, and the gateways that stand in for each other."""
    anchors = state.anchors[state.here.key]
    answering = [key for key in anchors if key in state.peers and state.peers[key].phase in (NEW, UP)]
    relayed = [(now.since, key) for key, now in state.relaying.peers.items() if now.relay]
    carried = (key for _, key in nlargest(CARRIED, relayed))
    return {
        *anchors[: ANCHORS - 1],
        *answering[:ANCHORS],
        *state.relaying.relays.values(),
        *carried,
        *(state.leading.gateways & state.peers.keys()),
    }


def _is_watched(peer: PeerState, moment: float) -> bool:
    if not peer.endpoint or peer.tries:  # others are asked where it is; or its endpoint is one of several
        return True
    if _is_within(peer.used, IN_USE, moment) or _is_within(peer.sought, AWAITED, moment):
        return True
    if peer.silent:
        if _is_within(peer.turn, TURN, moment):
            return True
    elif peer.asked is not None or (peer.phase == UP and peer.wanted is not None):
        return True
    return is_passed(peer.next_sample, TOGETHER, moment)


def _awake(peer: PeerState, moment: float) -> PeerState:
    """One that was at rest, and is watched again, is searched for at once."""
    rested = peer.silent and peer.next_round - moment > SAMPLE / 4
    return evolve(peer, next_round=moment) if rested else peer


def share(own: str, key: str) -> float:
    """When a peer has its turn in the sample, from 0 to 1: another for each pair, so that not all ask it at once."""
    return zlib.crc32(f"{own} {key}".encode()) % 3600 / 3600


def _is_within(then: float | None, seconds: float, moment: float) -> bool:
    return then is not None and moment - then < seconds
