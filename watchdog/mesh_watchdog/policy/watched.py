"""Which peers are asked for a sign of life. In a large mesh only some, for what is sent grows with their number. Pure.

WireGuard itself needs no watching: the first packet to a peer begins a handshake, and one that is not answered is
traffic, which has the peer watched from then on.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from functools import cache

from attrs import evolve

from mesh_watchdog.policy.crowd import LARGE, TURN
from mesh_watchdog.policy.observations import Declared
from mesh_watchdog.policy.peer import MISSING, NEW, SEARCHING, UP, PeerState
from mesh_watchdog.policy.peer_step import is_at_ease, is_passed
from mesh_watchdog.policy.state import State

IN_USE = 180.0
"""Seconds for which a peer is watched after there was traffic: as long as a session lasts."""
ANCHORS = 4
"""Peers with an endpoint in the list that are always watched: they know where this node is …"""
IN_RESERVE = 8
"""… and others that take their places while they do not answer."""
CARRIED = 32
"""Peers that a relay carries that are always watched, those that it has carried for the shortest time; others have
their turn with the sample, and are taken back as soon as they are heard."""
SAMPLE = 3600.0
"""Every other peer is asked once in this time, on the average."""
LEAST = 0.75
"""The least pause, in samples; the longest is half of one longer."""
TOGETHER = 15.0
"""Seconds; those whose time has come are asked at its multiples, as in `peer_step`."""
AWAITED = 60.0
"""A peer that has others look for this node is watched for so long."""
_HEARD = (UP, NEW)


def order(peers: Mapping[str, Declared], own: str) -> tuple[str, ...]:
    """The peers that may be anchors of this node, the first ones first: others for each node, the same every time."""

    def rank(key: str) -> tuple[bool, int]:
        return not peers[key].managed, zlib.crc32(f"{own} {key}".encode())

    return tuple(sorted((key for key in peers if peers[key].endpoint), key=rank)[: ANCHORS + IN_RESERVE])


def seen_to(state: State, moment: float) -> dict[str, PeerState]:
    """The peers that may want something now. In a large mesh those that are watched, and such as may go to rest."""
    if len(state.peers) < LARGE:
        return {key: peer for key, peer in state.peers.items() if not is_at_ease(peer, moment)}
    always = _always(state)
    found = dict[str, PeerState]()
    for key, peer in state.peers.items():
        if key not in always and _is_idle(key, peer, state, moment):
            continue
        if peer.phase == MISSING or is_at_ease(peer, moment):
            continue
        if key in always or _is_watched(key, peer, state, moment):
            found[key] = _awake(peer, moment)
    return found


def resting(state: State, seen_to: Iterable[str]) -> dict[str, PeerState]:
    """The silent peers that are not watched any more: their next search is that of the sample."""
    if len(state.peers) < LARGE:
        return {}
    rested = dict[str, PeerState]()
    silent = {key for key, peer in state.peers.items() if peer.phase not in _HEARD and peer.silent}
    for key in silent.difference(seen_to):
        when = _next_sample(key, state)
        if state.peers[key].next_round < when:
            rested[key] = evolve(state.peers[key], phase=SEARCHING, next_round=when)
    return rested


def is_asked_with_all(key: str, peer: PeerState, state: State, moment: float) -> bool:
    """Whether a peer is asked when all are, after this machine's network changed (R5): it may send to where we were."""
    if len(state.peers) < LARGE:
        return True
    lately = peer.lived and moment - peer.heard < IN_USE
    return lately or key in _always(state) or _is_watched(key, peer, state, moment)


def _always(state: State) -> set[str]:
    """The anchors, the relays and some of what those carry, and the gateways that stand in for each other."""
    answering = [key for key in state.anchors if key in state.peers and state.peers[key].phase in (NEW, UP)]
    relayed = [(now.since, key) for key, now in state.relaying.peers.items() if now.relay]
    carried = (key for _, key in sorted(relayed, reverse=True)[:CARRIED])
    anchors = (*state.anchors[: ANCHORS - 1], *answering[:ANCHORS])
    return {*anchors, *state.relaying.relays.values(), *carried, *(state.leading.gateways & state.peers.keys())}


def _is_idle(key: str, peer: PeerState, state: State, moment: float) -> bool:
    """The usual case: nothing is under way, and its sample is not due. Reckoned in little time."""
    if peer.asked is not None or peer.wanted is not None or peer.used is not None or peer.sought is not None:
        return False
    if peer.phase == UP:
        return not peer.tries and moment - peer.heard < SAMPLE * LEAST
    return peer.phase == NEW and bool(peer.endpoint) and not peer.tries and moment < _next_sample(key, state)


def _is_watched(key: str, peer: PeerState, state: State, moment: float) -> bool:
    if not peer.endpoint or peer.tries:  # others are asked where it is; or its endpoint is one of several
        return True
    if _is_within(peer.used, IN_USE, moment) or _is_within(peer.sought, AWAITED, moment):
        return True
    if peer.silent:
        if _is_within(peer.turn, TURN, moment):
            return True
    elif peer.asked is not None or (peer.phase == UP and peer.wanted is not None):
        return True
    return is_passed(_next_sample(key, state), TOGETHER, moment)


def _awake(peer: PeerState, moment: float) -> PeerState:
    """One that was at rest, and is watched again, is searched for at once."""
    rested = peer.silent and peer.next_round - moment > SAMPLE / 4
    return evolve(peer, next_round=moment) if rested else peer


def _next_sample(key: str, state: State) -> float:
    """When a peer is asked, whatever happens: some time after there last was anything with it, by both ends' keys."""
    peer, share = state.peers[key], _share(state.here.key, key)
    if peer.phase == NEW and peer.probed is None:
        return peer.since + share * SAMPLE
    return max(peer.heard, peer.probed or peer.heard) + SAMPLE * (LEAST + share / 2)


@cache
def _share(own: str, key: str) -> float:
    """From 0 to 1, another one for each pair, so that not all ask one peer at once."""
    return zlib.crc32(f"{own} {key}".encode()) % 3600 / 3600


def _is_within(then: float | None, seconds: float, moment: float) -> bool:
    return then is not None and moment - then < seconds
