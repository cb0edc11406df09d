"""One peer's next step: when it is probed, when it is suspect, when it is searched for (rules R2 and R3)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Set

from attrs import evolve

from mesh_sync.wireguard.protocol import REKEY_TIMEOUT
from mesh_watchdog.policy.actions import Action, Announce, AskPath, Probe
from mesh_watchdog.policy.candidates import expected
from mesh_watchdog.policy.crowd import REFUSED, Places
from mesh_watchdog.policy.endpoint_search import attempt, in_question
from mesh_watchdog.policy.known_ways import lacking
from mesh_watchdog.policy.local_outage import WITNESS_TIME, is_open
from mesh_watchdog.policy.peer import MISSING, NEW, SEARCHING, SUSPECT, TALK, UP, PeerState, probed
from mesh_watchdog.policy.state import State

PROBE_WANTED = 10.0
"""Silence after which a peer is probed while traffic is wanted (rule R2)."""
PROBE_IDLE = 25.0
"""The same while no traffic is wanted (R2), at most …"""
TOGETHER = 5.0
"""… and so much less that all are asked at the multiples of this: one reading has the answers of many."""
PROBE_PROMPT = 2.0
"""The same for a peer that answers at once, or may do so for all we know, while traffic is wanted (R3)."""
PROBE_TALKED = 2.0
"""The same, once, for one that ends a conversation: it may go on where our NAT has lost what leads to us."""
PROBE_TALKING = 0.45
"""The same for one in conversation: a reading in which it said nothing, and we did."""
MISSES = 3
"""Misses after which such a peer is suspect (R3) …"""
MISSES_SOUGHT = 2
"""… and the same while it looks for us: it does not hear us."""
SOUGHT = 10.0
"""Seconds for which that counts."""
SILENT_PROBE = REKEY_TIMEOUT
"""A silent peer is sent a packet this often …"""
SILENT_LONG = 60.0
"""… for this long …"""
LONG_PROBE = 25.0
"""… and then this often: WireGuard's own handshakes go on for 90 s after each."""

Step = tuple[PeerState, list[Action], Iterable[str], Set[str]]
"""The peer, what to do, the names to ask for, and the addresses to which the ways have to be known first."""
NOWHERE = frozenset[str]()


def is_at_ease(peer: PeerState, moment: float) -> bool:
    """Whether there is nothing to do: the usual case, for a thousand peers at each reading."""
    if peer.phase == UP:
        asks = peer.wanted is not None or peer.asked is not None or peer.path != peer.endpoint
        return not asks and moment - peer.heard < (PROBE_TALKED if peer.talk >= TALK else PROBE_IDLE - TOGETHER)
    return peer.phase == MISSING


def step(key: str, peer: PeerState, state: State, places: Places, moment: float) -> Step:
    """Move one peer on. While this machine seems to be cut off: ask, but suspect and change nothing (R4)."""
    unsure = state.cut_off
    if peer.seen is None or not state.surroundings.versions:
        return peer, [], (), NOWHERE
    actions: list[Action] = []
    if peer.seen.endpoint:
        if peer.phase == UP and peer.path != peer.endpoint:
            peer = evolve(peer, path=peer.endpoint)
            actions.append(AskPath(key))
        if _is_probe_due(key, peer, unsure, moment) and places.take(peer):
            peer = probed(peer, moment)
            actions.append(Probe(key))
        if not peer.silent and not unsure and _is_overdue(peer, state, moment):
            peer = evolve(peer, phase=SUSPECT, since=moment, expected=expected(peer, state.names))
            actions.append(Announce(key, f"does not answer at {peer.endpoint}", urgent=True))
    elif peer.phase == NEW and peer.declared.endpoint:
        # Nothing that works can be lost, but the first reading is only for looking (R16).
        return evolve(peer, phase=SEARCHING, expected=expected(peer, state.names)), actions, (), NOWHERE
    if not peer.silent or unsure:
        return peer, actions, (), NOWHERE
    if peer.phase == SUSPECT and peer.asked is not None and moment - peer.asked >= peer.search_after:
        peer = evolve(peer, phase=SEARCHING, since=moment)
    if _is_try_due(peer, moment) and not places.admits(peer):
        return _refused(peer, moment), actions, peer.declared.hosts, NOWHERE
    if lacking(unknown := in_question(peer, state, moment), state, moment):
        return peer, actions, peer.declared.hosts, unknown
    tried, tries = attempt(key, peer, state, moment)
    if tries and not places.take(peer):
        return _refused(peer, moment), actions, peer.declared.hosts, NOWHERE
    return tried, actions + tries, peer.declared.hosts, NOWHERE


def _is_try_due(peer: PeerState, moment: float) -> bool:
    return moment >= peer.next_try if peer.tries else peer.phase == SEARCHING and moment >= peer.next_round


def _refused(peer: PeerState, moment: float) -> PeerState:
    """It has no place: what is to be tried waits."""
    if peer.tries:
        return evolve(peer, next_try=max(peer.next_try, moment + REFUSED))
    return evolve(peer, next_round=max(peer.next_round, moment + REFUSED))


def _is_probe_due(key: str, peer: PeerState, unsure: bool, moment: float) -> bool:
    since_probe = moment - peer.probed if peer.probed is not None else float("inf")
    if peer.silent or (unsure and peer.asked is not None):
        return since_probe >= (SILENT_PROBE if moment - peer.heard < SILENT_LONG else LONG_PROBE)
    if peer.asked is not None:
        return since_probe >= (peer.miss_after if peer.quick else SILENT_PROBE)
    if peer.phase == NEW:
        return moment - peer.since >= _spread(key)
    if peer.wanted is None and peer.talk < TALK:
        return is_passed(peer.heard + PROBE_IDLE - TOGETHER, TOGETHER, moment)
    return moment - peer.heard >= _interval(peer)


def is_passed(due: float, every: float, moment: float) -> bool:
    """Whether a multiple of ``every`` has passed since it was ``due``."""
    return moment // every * every >= due


def _interval(peer: PeerState) -> float:
    """How long this peer, which is or was in use, may be silent before it is asked."""
    if peer.wanted is None:
        return PROBE_TALKED
    if peer.prompt is None and peer.talk >= TALK:
        return 0.0
    if peer.prompt and peer.talk >= TALK:
        return PROBE_TALKING
    return PROBE_WANTED if peer.prompt is False else PROBE_PROMPT


def _is_overdue(peer: PeerState, state: State, moment: float) -> bool:
    """Whether it is suspect. Witnesses that were asked are waited for while what they say could mean that it is us."""
    if peer.asked is None:
        return False
    waited = peer.probed is not None and moment - peer.probed >= peer.miss_after
    is_sought = peer.sought is not None and moment - peer.sought < SOUGHT
    if peer.quick and peer.misses + waited >= (MISSES_SOUGHT if is_sought else MISSES):
        listening = moment < state.witnessed + WITNESS_TIME and is_open(state.peers, moment)
        if not listening:
            return True
    return moment - peer.asked >= peer.suspect_after


def _spread(key: str) -> float:
    """0 to 2 s, by key: not all new peers are asked in one burst."""
    return zlib.crc32(key.encode()) % 2000 / 1000
