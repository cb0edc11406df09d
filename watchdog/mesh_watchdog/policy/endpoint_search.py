"""Which endpoint a silent peer is given next, and when (rules R7, R8, R11, R12)."""

from __future__ import annotations

from attrs import evolve

from mesh_sync.wireguard.protocol import REJECT_AFTER_TIME, REKEY_TIMEOUT
from mesh_watchdog.policy.actions import Action, Probe, SetEndpoint
from mesh_watchdog.policy.candidates import Candidate, candidates, from_dns, news, places
from mesh_watchdog.policy.peer import RX_HOLDS, SEARCHING, SUSPECT, WRITES_AT_ONCE, PeerState, probed
from mesh_watchdog.policy.repeating import repeating
from mesh_watchdog.policy.reports import SEEN, TOLD
from mesh_watchdog.policy.state import State

SEARCH_ROUNDS = (15.0, 30.0, 60.0, 120.0, 240.0, 300.0)
"""Pauses between two rounds of tries; the last one repeats (R11)."""
TRY_YOUNG = 0.1
"""Between two endpoints tried while the session is alive: one packet is enough (R8)."""
TRY_OLD = REKEY_TIMEOUT + 0.5
"""The same without a session: each needs a handshake, which WireGuard begins every 5 to 5.33 s (R8)."""
TRY_AFRESH = 1.0
"""The same for a stranger where others see it: made afresh, it begins a handshake at once."""
YOUNG = REJECT_AFTER_TIME - 10.0
"""A session is counted on up to this age: readings are late, and the tries take time."""
NEWS_LISTEN = 1.0
"""A peer that is merely suspect is given its new DNS address for so long, and then its old one again."""
MAX_CANDIDATES = 6
"""Endpoints tried in one round."""
WRITE_EVERY = 15.0
"""An endpoint is written once in this time on the average: 270 in the worst hour."""


def attempt(key: str, peer: PeerState, state: State, moment: float) -> tuple[PeerState, list[Action]]:
    """Give a silent peer its next endpoint if one is due: of news from DNS, of the round under way, of a new round."""
    if peer.reached is not None and moment - peer.reached < RX_HOLDS:
        return peer, []
    if state.birthday.is_settling(key):
        return peer, []
    if _has_untried_name(peer, state):
        peer = _with_news(peer, state, moment)
    if not peer.tries and peer.phase == SEARCHING and moment >= peer.next_round:
        peer = _with_round(peer, state, moment)
    if not peer.tries or moment < peer.next_try:
        return peer, []
    return _try_next(key, peer, moment)


def in_question(peer: PeerState, state: State, moment: float) -> frozenset[str]:
    """The addresses that `attempt` is about to choose from; none while it has no choice to make."""
    if not peer.tries and peer.phase == SEARCHING and moment >= peer.next_round:
        return places(peer, state.names)
    return places(peer, state.names) if _has_untried_name(peer, state) else frozenset()


def _has_untried_name(peer: PeerState, state: State) -> bool:
    """Whether DNS names an endpoint that has not been tried since the peer fell silent."""
    known = peer.tried if peer.phase == SEARCHING else (peer.endpoint, *peer.tried)
    return any(endpoint not in known for endpoint, _ in from_dns(peer, state.names))


def _with_news(peer: PeerState, state: State, moment: float) -> PeerState:
    """What is new in DNS is tried at once, and once; then what was to be tried before, if only the endpoint it had.

    During a search everything that was not tried yet is new.
    """
    current = peer.endpoint
    if peer.phase == SEARCHING:
        known = candidates(peer, state)
        begins = not peer.rounds and moment >= peer.next_round  # with a round, which has what is new as well
        fresh = [] if begins else [found for found in known if found[1] == "dns" and found[0] not in peer.tried]
        back = known[:1]
    else:
        fresh = [found for found in news(peer, state) if found[0] not in (current, *peer.tried)]
        back = ((current, peer.source),) if current else ()
    if not fresh:
        return peer
    tried = (*peer.tried, *(endpoint for endpoint, _ in fresh))
    return evolve(
        peer,
        tries=(*fresh[:MAX_CANDIDATES], *(pair for pair in peer.tries or back if pair not in fresh)),
        next_try=moment,
        resume=peer.next_try if peer.tries else moment,
        tried=tried,
    )


def _with_round(peer: PeerState, state: State, moment: float) -> PeerState:
    """All candidates, and the best of them again: there the peer is left if nothing answers."""
    chosen = _share(candidates(peer, state), peer.rounds)
    if not chosen:
        return peer
    tries = (*chosen, *chosen[: len(chosen) > 1])
    rest = repeating(SEARCH_ROUNDS, peer.rounds)
    return evolve(
        peer,
        tries=tries,
        next_try=moment,
        rounds=peer.rounds + 1,
        next_round=moment + rest + _pause(peer, moment) * len(tries),
        tried=(*peer.tried, *(endpoint for endpoint, _ in chosen if endpoint not in peer.tried)),
    )


def _share(found: tuple[Candidate, ...], turn: int) -> tuple[Candidate, ...]:
    """The best, and of the others as many as one round holds: the next ones in every round."""
    if len(found) <= MAX_CANDIDATES:
        return found
    others, many = found[1:], MAX_CANDIDATES - 1
    start = turn * many % len(others)
    return (found[0], *(others[start:] + others[:start])[:many])


def _try_next(key: str, peer: PeerState, moment: float) -> tuple[PeerState, list[Action]]:
    allowance = min(WRITES_AT_ONCE, peer.allowance + (moment - peer.wrote) / WRITE_EVERY)
    if allowance < 1:
        return evolve(peer, next_try=moment + (1 - allowance) * WRITE_EVERY), []
    (endpoint, source), *rest = peer.tries
    afresh = peer.stranger and source in (SEEN, TOLD)
    pause = TRY_AFRESH if afresh else _pause(peer, moment)
    resumes = bool(rest) and source == "dns" and rest[0][1] in (SEEN, TOLD)
    if peer.phase == SUSPECT and (resumes or len(rest) == 1):  # the way back
        pause = max(pause, NEWS_LISTEN)
    after = peer.resume if resumes else moment if rest else peer.next_round
    return evolve(
        probed(peer, moment),
        tries=tuple(rest),
        next_try=max(moment + pause, after),
        source=source,
        last_set=endpoint,
        writes=peer.writes + 1,
        switches=peer.switches + (endpoint != peer.endpoint),
        allowance=allowance - 1,
        wrote=moment,
    ), [SetEndpoint(key, endpoint, source, afresh), Probe(key)]


def has_young_session(peer: PeerState, moment: float) -> bool:
    """Whether one packet is enough to restore its traffic, as far as we know."""
    return peer.session is not None and moment - peer.session < YOUNG


def _pause(peer: PeerState, moment: float) -> float:
    """Between two tries: one packet is enough while the session is alive, otherwise each needs a handshake."""
    return TRY_YOUNG if has_young_session(peer, moment) else TRY_OLD
