"""When to read the interface next. Pure: often while something happens, seldom when nothing does."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from mesh_watchdog.policy.crowd import is_large, under_way
from mesh_watchdog.policy.observations import Seen
from mesh_watchdog.policy.peer import MISSING, NEW, QUIET_BYTES, SEARCHING, TALK, TALK_PAUSE, UP, PeerState
from mesh_watchdog.policy.state import State
from mesh_watchdog.policy.watched import always

TRYING = 0.1
"""Seconds between readings while endpoints are tried."""
BUSY = 1.0
"""The same while traffic flows, or an answer is owed; no less while a crowd owes one (`crowd`)."""
SETTLED = 5.0
"""Seconds after which all that is to be asked in one pass was asked."""
TALKING = 0.5
"""The same while a peer is in conversation that answers at once …"""
TALKING_MOST = 200
"""… on an interface with at most so many peers: a reading takes the longer the more there are."""
SETTLING = 15.0
"""Seconds for which a peer that was never heard is listened for closely."""
LONG_DEAD = 60.0
"""Seconds of silence after which a peer is no longer waited for: its next try says when to read."""
ROTATING = 0.2
"""While a peer is about to change its key: its traffic is lost until that is seen."""
RELAYED = 0.3
"""While traffic flows and a peer is relayed: once it is heard directly, packets are lost until both ends see that."""
ROTATING_LONG = 900.0
"""Seconds after which BUSY is often enough: some node is away, and that may take days."""
WINDOW = 5.0
"""Seconds over which traffic is measured."""
FLOWING = 15.0
"""Seconds for which traffic counts as flowing after it was seen."""


def next_poll(state: State, moment: float, *, idle: float) -> float:
    """Return in how many seconds to read; ``idle``: the longest wait."""
    wait = min(idle, BUSY) if moment - state.flowed < FLOWING else idle
    if len(state.peers) <= TALKING_MOST and any(_is_talking(peer, moment) for peer in state.peers.values()):
        wait = min(wait, TALKING)
    if any(carried.relay for carried in state.relaying.peers.values()):
        wait = min(wait, RELAYED if moment - state.flowed < FLOWING else BUSY)
    if state.paired is not None:
        wait = min(wait, ROTATING if moment - state.paired < ROTATING_LONG else BUSY)
    if state.crowd.held:
        wait = min(wait, BUSY)
    if state.birthday.round:
        wait = min(wait, 2 * TRYING)
    for key in under_way(state.peers, moment, always(state)):
        peer = state.peers[key]
        if peer.phase == UP and peer.asked is None and peer.wanted is None and not peer.tries:  # as nearly all do
            continue
        if peer.phase != MISSING:
            wait = min(wait, _patience(peer, moment, idle))
    for due in state.probe_all:
        wait = min(wait, due - moment)
    return max(wait, BUSY if state.crowd.is_many else TRYING)


def _patience(peer: PeerState, moment: float, idle: float) -> float:
    """How long this peer can wait for the next reading."""
    if peer.tries:
        return peer.next_try - moment
    if peer.phase == NEW and moment - peer.since < SETTLING:
        return BUSY if peer.endpoint else 2 * TRYING  # others may know where it is as soon as one of them is up
    if not peer.silent and peer.quick and peer.asked is not None and peer.probed is not None and _is_urgent(peer):
        since = moment - peer.probed  # to know how long its answer takes, and when that is too long
        return max(TRYING, min(since, peer.miss_after - since))
    if not peer.silent:
        owes = peer.wanted is not None or (peer.asked is not None and peer.quick)
        return BUSY if owes else idle
    if peer.phase == SEARCHING and moment - peer.heard > LONG_DEAD:
        return max(peer.next_round - moment, BUSY)
    just_asked = peer.probed is not None and moment - peer.probed < BUSY
    return 2 * TRYING if just_asked else BUSY


def _is_talking(peer: PeerState, moment: float) -> bool:
    return peer.phase == UP and peer.talk >= TALK and peer.prompt is not False and moment - peer.heard <= TALK_PAUSE


def _is_urgent(peer: PeerState) -> bool:
    return peer.wanted is not None or peer.misses > 0


def measured(state: State, seen: Mapping[str, Seen], moment: float) -> State:
    """Take in how much traffic there was, with the reading that ends a `WINDOW`."""
    since, before = state.measured
    if before and moment - since < WINDOW:
        return state
    return evolve(state, measured=(moment, seen), flowed=moment if is_flowing(before, seen) else state.flowed)


def is_flowing(before: Mapping[str, Seen], after: Mapping[str, Seen]) -> bool:
    """Whether any peer sent or received more between two readings, WINDOW seconds apart, than an idle one does."""
    return any(
        seen is not before[key] and seen.traffic - before[key].traffic > QUIET_BYTES
        for key, seen in after.items()
        if key in before
    )


def is_settled(state: State, began: float, moment: float) -> bool:
    """Whether a pass that ``began`` then has nothing to wait for: every peer was heard, or is given up until later."""
    if not state.interface:
        return moment - began > BUSY
    peers = list(state.peers.values())
    if is_large(state.peers) and moment - began > SETTLED:  # those that are not watched have nothing to say
        peers = [peer for peer in peers if peer.silent or peer.asked is not None]
    return all(_is_settled(peer, began, moment) for peer in peers)


def _is_settled(peer: PeerState, began: float, moment: float) -> bool:
    answered = peer.probed is not None and peer.probed >= began and peer.asked is None
    if peer.phase == MISSING or (peer.phase == UP and answered):
        return True
    unreachable = peer.seen is not None and not peer.seen.endpoint and not peer.declared.hosts
    tired = peer.phase == SEARCHING and not peer.tries and peer.next_round - moment > BUSY
    return (unreachable or tired) and moment - began > 2 * BUSY
