"""observe -> decide -> act: the middle one. Pure: no I/O, no clock, no chance; the same history, the same actions.

The rules are explained in docs/watchdog.md; what one peer gets is in `peer_step`, what it is tried with in
`endpoint_search`.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from mesh_sync.wireguard.answer import Answer
from mesh_sync.wireguard.protocol import REKEY_TIMEOUT
from mesh_watchdog.policy import dns_names
from mesh_watchdog.policy.candidates import Places
from mesh_watchdog.policy.constants import BLIND, CALM, DNS_AT_ONCE, JURY_PAUSE, KICK_PAUSE, KICKS
from mesh_watchdog.policy.events import (
    Action,
    Applied,
    Declared,
    Look,
    Note,
    Observation,
    Probe,
    Promote,
    Seen,
    Snapshot,
    Surroundings,
)
from mesh_watchdog.policy.key_alias import misplaced, under_listed_keys
from mesh_watchdog.policy.local_outage import is_it_us, jury
from mesh_watchdog.policy.peer import MISSING, UP, PeerState, begin, listen, probed
from mesh_watchdog.policy.peer_step import is_at_ease, step
from mesh_watchdog.policy.polling import measured
from mesh_watchdog.policy.state import State

Decision = tuple[State, tuple[Action, ...]]


def decide(state: State, observation: Observation, now: float) -> Decision:
    """Given what is believed and what was just seen, return what to believe and what to do."""
    match observation:
        case Applied():
            return _apply(state, observation, now), ()
        case Surroundings():
            return _move(state, observation, now)
        case Answer():
            return _answer(state, observation, now), ()
        case Snapshot():
            return _look_around(state, observation, now)


def _apply(state: State, applied: Applied, now: float) -> State:
    """Peers that left the list are forgotten at once: nothing is ever done to them again."""
    peers = {key: _declare(state.peers.get(key), declared, now) for key, declared in applied.peers.items()}
    hosts = {host for declared in applied.peers.values() for host in declared.hosts}
    names = {}
    for host in hosts:
        known = state.names.get(host)
        names[host] = known if known and known.addresses else dns_names.seeded(host, applied.peers.values(), known)
    paired = state.paired if applied.pairs == state.pairs else now if applied.pairs else None
    return evolve(
        state, peers=peers, names=names, tunnelled=applied.tunnelled, mark=applied.mark, pairs=applied.pairs,
        paired=paired,
    )  # fmt: skip


def _declare(known: PeerState | None, declared: Declared, now: float) -> PeerState:
    if known is None:
        return PeerState(declared=declared, since=now, heard=now)
    if known.silent and known.declared.endpoint != declared.endpoint:
        return evolve(known, declared=declared, next_round=now, next_try=now, tries=())
    return evolve(known, declared=declared)


def _move(state: State, surroundings: Surroundings, now: float) -> Decision:
    """Our own network changed: kick everybody, ask DNS afresh, try the silent ones from here (R5)."""
    if not surroundings.moved:
        return evolve(state, surroundings=surroundings), ()
    names = {host: dns_names.afresh(name, now) for host, name in state.names.items()}
    first = now if state.kicked is None else max(now, state.kicked + KICK_PAUSE)
    peers = {key: _again(peer, now) if peer.silent else peer for key, peer in state.peers.items()}
    kicks = tuple(first + delay for delay in KICKS)
    moved = evolve(state, peers=peers, surroundings=surroundings, names=names, kicks=kicks)
    return _kick(moved, now) if state.interface else (moved, ())


def _again(peer: PeerState, now: float) -> PeerState:
    """A silent peer whose next round does not wait for long."""
    soon = min(peer.next_round, now + REKEY_TIMEOUT)
    return evolve(peer, next_round=soon, next_try=peer.next_try if peer.tries else soon)


def _kick(state: State, now: float) -> Decision:
    if not state.kicks or state.kicks[0] > now or not state.surroundings.versions:
        return state, ()
    later = tuple(moment for moment in state.kicks if moment > now)
    due = [key for key, peer in state.peers.items() if peer.seen and peer.seen.endpoint]
    peers = {**state.peers, **{key: probed(state.peers[key], now) for key in due}}
    return evolve(state, peers=peers, kicks=later, kicked=now), tuple(map(Probe, due))


def _answer(state: State, answer: Answer, now: float) -> State:
    name = state.names.get(answer.host)
    if name is None:
        return state
    silent = [now - peer.heard for peer in state.peers.values() if answer.host in peer.declared.hosts and peer.silent]
    heard_back = dns_names.heard_back(name, answer, now, min(silent, default=0.0))
    return evolve(state, names={**state.names, answer.host: heard_back})


def _look_around(state: State, snapshot: Snapshot, now: float) -> Decision:
    if snapshot.peers is None:
        return _blinded(state, now), ()
    blind = state.looked is not None and now - state.looked > BLIND
    seen = under_listed_keys(state.pairs, snapshot.peers, snapshot.wall)
    state = measured(state, seen, now)
    peers, done = _listen_to_all(state, seen, blind, now)
    if misplaced(state.pairs, snapshot.peers, snapshot.wall):
        done.append(Promote())
    kicks = tuple(now + delay for delay in KICKS) if blind else state.kicks
    state, kicked = _kick(evolve(state, peers=peers, kicks=kicks, looked=now, interface=True), now)
    done += kicked
    ours = is_it_us(state.peers, state.surroundings, now)
    if state.ours and not ours:
        state = evolve(state, calm=now + CALM)
    if ours and not state.ours:
        done.append(Note("", "cannot be reached itself, it seems: nobody is looked for meanwhile", urgent=True))
    return _see_to_all(evolve(state, ours=ours), done, now)


def _blinded(state: State, now: float) -> State:
    """There is no interface: whoever is on the next one begins anew."""
    peers = {
        key: peer if peer.phase == MISSING else evolve(begin(peer, None, now), phase=MISSING)
        for key, peer in state.peers.items()
    }
    return evolve(state, peers=peers, interface=False)


def _listen_to_all(
    state: State, seen: Mapping[str, Seen], blind: bool, now: float
) -> tuple[dict[str, PeerState], list[Action]]:
    peers, said = {}, list[Action]()
    for key, before in state.peers.items():
        if key not in seen:
            peers[key] = before if before.phase == MISSING else evolve(begin(before, None, now), phase=MISSING)
            continue
        if before.phase == MISSING:
            peers[key] = begin(before, seen[key], now)
            continue
        if seen[key] == before.seen and not blind:
            peers[key] = before
            continue
        peer, heard = listen(before, seen[key], now)
        if heard and before.phase != UP:
            peer, notes = _welcome(key, before, peer, now)
            said += notes
        if blind and not heard:
            peer = evolve(peer, wanted=None, asked=None, misses=0)
        peers[key] = peer
    return peers, said


def _welcome(key: str, before: PeerState, peer: PeerState, now: float) -> tuple[PeerState, list[Note]]:
    """A peer that was silent, or new, is up."""
    took = now - before.heard if before.silent else None
    back = evolve(
        peer, phase=UP, since=now, expected=(), tried=(), tries=(), rounds=0, next_try=0.0, next_round=0.0,
        recovery=before.recovery if took is None else took,
    )  # fmt: skip
    if took is None or peer.seen is None:
        return back, []
    return back, [Note(key, f"is back at {peer.seen.endpoint} after {took:.0f} s of silence")]


def _see_to_all(state: State, done: list[Action], now: float) -> Decision:
    """Probe, suspect and hunt each peer as its time comes; then ask a jury, and DNS, for those who need it."""
    peers, names = dict(state.peers), dict(state.names)
    places = Places(names, state.surroundings, state.tunnelled)
    unsure = state.ours or now < state.calm
    wanted = dict[str, None]()
    for key, peer in state.peers.items():
        if is_at_ease(peer, now):
            continue
        peers[key], acts, looks = step(key, peer, places, unsure, now)
        done += acts
        wanted |= dict.fromkeys(looks)
    if state.surroundings.versions and now >= state.juries and (called := jury(peers, now)):
        peers |= {key: probed(peers[key], now) for key in called}
        done += map(Probe, called)
        state = evolve(state, juries=now + JURY_PAUSE)
    free = DNS_AT_ONCE - sum(name.pending for name in names.values()) if wanted else 0
    for host in wanted:
        if free > 0 and dns_names.is_due(names[host], now):
            names[host] = dns_names.asking(names[host], now)
            done.append(Look(host))
            free -= 1
    return evolve(state, peers=peers, names=names), tuple(done)
