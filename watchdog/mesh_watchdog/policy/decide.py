"""observe -> decide -> act: the middle one. Pure: no I/O, no clock, no chance; the same history, the same actions.

The rules are explained in docs/watchdog.md; what one peer gets is in `peer_step`, what it is tried with in
`endpoint_search`.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from mesh_sync.names.nameservers import Answer, Unresolved
from mesh_sync.wireguard.protocol import REKEY_TIMEOUT
from mesh_watchdog.policy import birthday, dns_names, known_ways, leading, news, punching, relaying, rendezvous, watched
from mesh_watchdog.policy.actions import Action, Announce, FollowUplink, LookUp, Probe, Promote
from mesh_watchdog.policy.anchors import AnchorsOf
from mesh_watchdog.policy.crowd import Places, in_turn, under_way
from mesh_watchdog.policy.local_outage import HEARD_LATELY, is_local_outage, witnesses
from mesh_watchdog.policy.news import Heard, Learnt
from mesh_watchdog.policy.observations import (
    Applied,
    Declared,
    Knocked,
    Mapped,
    Observation,
    Pairs,
    Reported,
    Rewritten,
    Routed,
    Seen,
    Snapshot,
    Sought,
    Surroundings,
)
from mesh_watchdog.policy.peer import MISSING, UP, PeerState, begin, listen, probed
from mesh_watchdog.policy.peer_step import step
from mesh_watchdog.policy.polling import measured
from mesh_watchdog.policy.state import Decision, State, misplaced, under_listed_keys

DNS_AT_ONCE = 8
"""Questions under way at the same time, over all names."""
PROBE_ALL = (0.0, 1.0, 3.0, 10.0)
"""When every peer is sent a packet after our own network changed (R5)."""
PROBE_ALL_PAUSE = 1.0
"""However often it changes, the first of them comes at most this often."""
WITNESS_PAUSE = 3.0
"""Witnesses are not asked more often than this (R4)."""
BLIND = 15.0
"""Not having looked for so long (the machine slept) says nothing about the peers."""
SLEPT = 180.0
"""After so long, in a large mesh, those whose turn came meanwhile have it within the next hour, and not all at once."""


def decide(state: State, observation: Observation, moment: float) -> Decision:
    """Given what is believed and what was just seen, return what to believe and what to do."""
    match observation:
        case Applied():
            return _apply(state, observation, moment), ()
        case Surroundings():
            return _move(state, observation, moment)
        case Answer():
            return _answer(state, observation, moment), ()
        case Snapshot():
            return _take_in(state, observation, moment)
        case Routed():
            return birthday.begin(known_ways.take_in(state, observation, moment), moment)
        case Mapped():
            return evolve(state, mapped=observation.endpoint, mapped_how=observation.how, mapped_at=moment), ()
        case Reported():
            state = birthday.take_report(state, observation, moment)
            state, said = rendezvous.take_report(state, observation, moment)
            state, moves = relaying.take_report(state, observation, moment)
            return state, (*said, *moves)
        case Sought(direct=True):
            return relaying.take_return(state, observation, moment)
        case Sought():
            state = rendezvous.take_search(state, observation, moment)
            state, moves = relaying.take_search(state, observation, moment)
            state, packets = birthday.take_search(state, observation, moment)
            return state, (*moves, *packets)
        case Knocked():
            return birthday.take_knock(state, observation, moment)
        case Rewritten():
            return birthday.take_rules(state, observation), ()
        case Learnt():
            known, said = news.learn(state.news, observation, _listening(state), state.here.key, moment)
            return evolve(state, news=known), said
        case Heard():
            known, said = news.hear(state.news, observation, moment)
            return evolve(state, news=known), said


def _apply(state: State, applied: Applied, moment: float) -> State:
    """Peers that left the list are forgotten at once: nothing is ever done to them again.

    One that has changed its key is known as before.
    """
    renewed = {old: new for old, new in state.pairs.items() if old not in applied.peers and new in applied.peers}
    known = {renewed.get(key, key): peer for key, peer in state.peers.items()}
    peers = {
        key: evolve(_declare(known.get(key), declared, moment), share=watched.share(applied.here.key, key))
        for key, declared in applied.peers.items()
    }
    hosts = {host for declared in applied.peers.values() for host in declared.hosts}
    names = {host: dns_names.seeded(host, applied.peers.values(), state.names.get(host)) for host in hosts}
    paired = state.paired if applied.pairs == state.pairs else moment if applied.pairs else None
    others = rendezvous.without(state.rendezvous, peers, applied.here.key)
    rounds = birthday.without(state.birthday, peers)
    return evolve(
        known_ways.forgotten(state), rendezvous=others, birthday=rounds, peers=peers, names=names,
        tunnel=applied.tunnel, carriers=applied.carriers, mark=applied.mark, past_exit=applied.past_exit,
        pairs=applied.pairs, here=applied.here, paired=paired,
        relaying=relaying.listed(state.relaying, applied.peers, renewed), news=news.without(state.news, peers),
        leading=leading.listed(state.leading, applied.gateways), anchors=AnchorsOf(applied.peers),
    )  # fmt: skip


def _declare(known: PeerState | None, declared: Declared, moment: float) -> PeerState:
    if known is None:
        return PeerState(declared=declared, since=moment, heard=moment)
    if known.silent and known.declared.endpoint != declared.endpoint:
        return evolve(known, declared=declared, next_round=moment, next_try=moment, tries=())
    return evolve(known, declared=declared)


def _move(state: State, surroundings: Surroundings, moment: float) -> Decision:
    """Our own network changed: probe all peers, ask DNS again, try the silent ones from here (R5)."""
    state = known_ways.forgotten(state)
    if not surroundings.moved:
        return evolve(state, surroundings=surroundings), ()
    names = {host: dns_names.after_move(name, moment) for host, name in state.names.items()}
    first = moment if state.probed_all is None else max(moment, state.probed_all + PROBE_ALL_PAUSE)
    peers = {key: _again(evolve(peer, path=""), moment) for key, peer in state.peers.items()}
    probe_all = tuple(first + delay for delay in PROBE_ALL)
    others = rendezvous.after_move(state.rendezvous, state.here.key, moment)
    moved = evolve(
        state, peers=peers, surroundings=surroundings, names=names, probe_all=probe_all, rendezvous=others,
        crowd=evolve(state.crowd, swept=moment),
    )  # fmt: skip
    if not state.interface:
        return moved, ()
    places = Places(moved.peers, under_way(moved.peers, moment), moved.crowd, moment)
    moved, probes = _probe_all(moved, places, moment)
    return evolve(moved, crowd=places.crowd), (FollowUplink(), *probes)


def _again(peer: PeerState, moment: float) -> PeerState:
    """The peer after a move: if it is silent, its next round does not wait for long."""
    if not peer.silent:
        return peer
    soon = min(peer.next_round, moment + REKEY_TIMEOUT)
    return evolve(peer, next_round=soon, next_try=peer.next_try if peer.tries else soon)


def _probe_all(state: State, places: Places, moment: float) -> Decision:
    """Ask all; in a large mesh one after the other, and those no more that were heard meanwhile."""
    if not state.surroundings.versions:
        return state, ()
    due = bool(state.probe_all) and state.probe_all[0] <= moment
    asked, waiting = dict[str, PeerState](), list[str]()
    for key in dict.fromkeys((*places.crowd.sweep, *(state.peers if due else ()))):
        peer = state.peers.get(key)
        if peer is None or not peer.endpoint or (places.bounded and peer.heard > places.crowd.swept):
            continue
        if not watched.is_asked_with_all(key, peer, state, moment):
            continue
        if places.take(peer):
            asked[key] = probed(peer, moment)
        elif places.is_spent:
            waiting.append(key)
    places.crowd = evolve(places.crowd, sweep=tuple(waiting)) if places.bounded else places.crowd
    if due:
        later = tuple(due for due in state.probe_all if due > moment)
        state = evolve(state, probe_all=later, probed_all=moment)
    return evolve(state, peers={**state.peers, **asked}) if asked else state, tuple(map(Probe, asked))


def _answer(state: State, answer: Answer, moment: float) -> State:
    name = state.names.get(answer.host)
    if name is None:
        return state
    if answer.reason is Unresolved.NO_NAMESERVER and state.routed.nameservers:
        answer = evolve(answer, reason=Unresolved.NONE_USABLE)
    peers = (peer for peer in state.peers.values() if answer.host in peer.declared.hosts and peer.silent)
    silent_for = min((moment - peer.heard for peer in peers), default=0.0)
    heard_back = dns_names.heard_back(name, answer, moment, silent_for)
    return evolve(state, names={**state.names, answer.host: heard_back})


def _take_in(state: State, snapshot: Snapshot, moment: float) -> Decision:
    if snapshot.peers is None:  # those of the next interface start from the beginning
        peers, _ = _listen_to_all(state, {}, False, moment)
        return evolve(state, peers=peers, interface=False), ()
    blind = state.looked is not None and moment - state.looked > BLIND
    seen = under_listed_keys(state.pairs, snapshot.peers, snapshot.wall)
    state = measured(state, seen, moment)
    peers, done = _listen_to_all(state, seen, blind, moment)
    if state.looked is not None and moment - state.looked > SLEPT:
        peers = {key: evolve(peer, woke=moment) for key, peer in peers.items()}
    if misplaced(_alone(state), snapshot.peers, snapshot.wall):
        done.append(Promote())
    if blind:
        probe_all = tuple(moment + delay for delay in PROBE_ALL)
        state = evolve(state, probe_all=probe_all, crowd=evolve(state.crowd, swept=moment))
    state = evolve(state, peers=peers, looked=moment, interface=True)
    busy = under_way(peers, moment, watched.always(state) | state.relaying.peers.keys())
    places = Places(peers, busy, state.crowd, moment)
    state, probes = _probe_all(state, places, moment)
    done += probes
    answered = state.surroundings.versions and moment - state.rendezvous.answered < HEARD_LATELY
    cut_off = not answered and is_local_outage(state.peers, state.surroundings, moment)
    if state.cut_off and not cut_off:
        state, probes = _ask_again(state, places, moment)
        done += probes
    if cut_off and not state.cut_off:
        done.append(Announce("", "appears to be cut off: no peer is searched for until it is back", urgent=True))
    state, actions = _see_to_all(evolve(state, cut_off=cut_off), busy, places, done, moment)
    state, moves = relaying.step(state, busy, moment)
    state, leads = leading.step(state, moment)
    state, packets = birthday.step(state, moment)
    state, said = _tell_on(state, moment)
    return state, (*actions, *moves, *leads, *packets, *said)


def _tell_on(state: State, moment: float) -> Decision:
    if news.wait(state.news, moment):
        return state, ()
    known, said = news.step(state.news, _listening(state), state.here.key, moment)
    return evolve(state, news=known), said


def _listening(state: State) -> list[str]:
    """The peers that may be told of a new commit."""
    return [key for key, peer in state.peers.items() if peer.phase == UP and peer.declared.managed]


def _alone(state: State) -> Pairs:
    """The pairs of keys of the peers that no relay carries: those have their allowed IPs under neither key."""
    return {old: new for old, new in state.pairs.items() if not state.relaying.relay_of(old)}


def _ask_again(state: State, places: Places, moment: float) -> Decision:
    """No longer cut off: if a peer is heard, those that owe an answer are asked again, with all their time for it."""
    back = any(moment - peer.heard < HEARD_LATELY for peer in state.peers.values() if peer.lived)
    owing = {key: peer for key, peer in state.peers.items() if back and peer.asked is not None and not peer.silent}
    asked = {key: evolve(peer, asked=moment, probed=moment, misses=0) for key, peer in owing.items()}
    sent = tuple(Probe(key) for key, peer in asked.items() if places.take(peer))
    return evolve(state, peers={**state.peers, **asked}), sent


def _listen_to_all(
    state: State, seen: Mapping[str, Seen], blind: bool, moment: float
) -> tuple[dict[str, PeerState], list[Action]]:
    peers, done = dict(state.peers), list[Action]()
    for key, before in state.peers.items():
        now = seen.get(key)
        if now is None:
            if before.phase != MISSING:
                peers[key] = evolve(begin(before, None, moment), phase=MISSING)
        elif before.phase == MISSING:
            peers[key] = begin(before, now, moment)
        elif blind or (now is not before.seen and now != before.seen):
            peer, heard = listen(before, now, moment)
            if heard and before.phase != UP:
                peer, said = _welcome(key, before, peer, moment)
                done += said
            if blind and not heard:
                peer = evolve(peer, wanted=None, asked=None, misses=0)
            peers[key] = peer
    return peers, done


def _welcome(key: str, before: PeerState, peer: PeerState, moment: float) -> tuple[PeerState, list[Announce]]:
    """A peer that was silent, or new, is up."""
    took = moment - before.heard if before.silent else None
    back = evolve(
        peer, phase=UP, since=moment, expected=(), tried=(), tries=(), rounds=0, next_try=0.0, next_round=0.0,
        sought=None, punched=None, punches=0, aims=(), recovery=before.recovery if took is None else took,
    )  # fmt: skip
    return back, [] if took is None else [Announce(key, f"is back at {peer.endpoint} after {took:.0f} s of silence")]


def _see_to_all(state: State, busy: list[str], places: Places, done: list[Action], moment: float) -> Decision:
    """Probe, suspect and search for each peer as its time comes; then ask witnesses and DNS about silent ones."""
    state, meetings, lacked = punching.take_up(state, moment)
    done += meetings
    peers, names = dict(state.peers), dict(state.names)
    wanted, unknown, missed = dict[str, None](), set(lacked), list[str]()
    due = watched.seen_to(state, busy, moment)
    peers |= watched.resting(state, busy, due, moment)
    for key in in_turn(due, moment) if places.bounded else due:
        peers[key], acts, looks, lacking = step(key, due[key], state, places, moment)
        done += acts
        unknown |= lacking
        wanted |= dict.fromkeys(looks)
        if rendezvous.is_missed(peers[key], moment):
            missed.append(key)
    if (
        state.surroundings.versions
        and moment >= state.witnessed + WITNESS_PAUSE
        and (called := witnesses(peers, moment))
    ):
        called = tuple(key for key in called if places.take(peers[key]))
        peers |= {key: probed(peers[key], moment) for key in called}
        done += map(Probe, called)
        state = evolve(state, witnessed=moment)
    free = DNS_AT_ONCE - sum(name.pending for name in names.values()) if wanted else 0
    asked = [host for host in wanted if dns_names.is_due(names[host], moment)][:free] if free > 0 else []
    state, calls = rendezvous.call(evolve(state, peers=peers), () if state.cut_off else missed, moment)
    done += calls
    if unknown or (asked and not known_ways.is_fresh(state, moment)):
        state, asks = known_ways.asked(state, unknown, moment)
        done += asks
    if asked and known_ways.is_fresh(state, moment):
        servers = known_ways.servers(state)
        names |= {host: dns_names.asking(names[host], moment) for host in asked}
        done += [LookUp(host, servers) for host in asked]
    return evolve(state, names=names, crowd=places.crowd), tuple(done)
