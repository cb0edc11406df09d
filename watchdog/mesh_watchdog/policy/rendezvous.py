"""Whom to ask where a silent peer is, and where this node itself is seen; and what the answers say (R6, R7, R14, R15).

Every live peer is an observer. When asked, it also tells the peer in question who looks for it and from where, so both
ends act at the same moment. What they then do is in `punching`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from attrs import evolve

from mesh_sync.wireguard.endpoint import Address, Endpoint
from mesh_sync.wireguard.underlay import Reach
from mesh_watchdog.policy.actions import Announce, Call
from mesh_watchdog.policy.anchors import ANCHORS
from mesh_watchdog.policy.crowd import is_large, is_there
from mesh_watchdog.policy.endpoint_search import has_young_session
from mesh_watchdog.policy.local_outage import HEARD_LATELY
from mesh_watchdog.policy.nat_class import EASY, HARD, PUBLIC, UNKNOWN, is_contradicted, is_inner, nat_class
from mesh_watchdog.policy.observations import Reported, Sought
from mesh_watchdog.policy.peer import MISSING, NEW, UP, PeerState
from mesh_watchdog.policy.relay_order import to_ask
from mesh_watchdog.policy.repeating import repeating
from mesh_watchdog.policy.reports import (
    Calling,
    Rendezvous,
    Report,
    fresh,
    has_answered,
    has_asked,
    is_deaf,
    with_reports,
)
from mesh_watchdog.policy.state import Decision, State

OBSERVERS = 3
"""Peers that are asked at once."""
CALL_AGAIN = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 300.0)
"""Pauses between two calls for one peer; the last one repeats."""
RELAYS_AGAIN = 60.0
"""The longest such pause where a relay could carry the peer: it may see the peer by now."""
CALLS_AT_ONCE = 16
"""Calls for all peers in a row …"""
CALL_EVERY = 0.25
"""… and then one in this time."""
CALLED = 1.0
"""Seconds that a node waits with its own call once it was told where a peer is: the other end has called."""
UNANSWERED = 1.0
"""Seconds after which a peer that was never heard and does not answer at its endpoint is called."""
PUBLISH_SOON = (2.0, 5.0, 10.0)
"""Pauses between the first questions where this node is seen, until the class of its NAT is known."""
PUBLISH = 60.0
"""The same behind a NAT; and where it is not known …"""
PUBLISH_PUBLIC = 300.0
"""… and without one."""
DOUBT_AGAIN = 3.0
"""While this machine seems cut off, peers that were heard just now are asked this often where it is seen. An answer
shows that it is not: the others have moved, or our NAT has (R4)."""
CANDIDATES = 8
"""Endpoints of this node that are passed on."""
LEAD = 0.2
"""Seconds between the other end's call and setting its endpoint: it may call just before it opens its NAT."""
TURN = 0.3
"""Without a session the end with the larger key waits this much longer: when two handshakes cross, neither is
answered."""
ACTS = 2.5
"""A node that has opened its NAT calls. A call within this time after our own opener shows that both NATs are open. A
packet that came earlier would take the port at a router that accepts everything, and block it for half a minute."""
AGAIN = 0.9
"""Seconds within which the same report is not acted on twice."""

_IS = {
    PUBLIC: "is seen at an address of its own: there is no NAT before it",
    EASY: "is behind a NAT that keeps one port for all destinations: peers can meet it directly",
    HARD: "is behind a NAT that gives each destination another port: peers behind such NATs cannot meet it directly",
}


def take_report(state: State, reported: Reported, moment: float) -> Decision:
    """An observer has answered: of a peer, or of this node."""
    if reported.observer not in state.peers:
        return state, ()
    known = has_answered(state.rendezvous, reported.observer, moment)
    if state.here.is_me(reported.about):
        own = with_reports(known, evolve(reported, about=state.here.key), moment)
        return _classified(evolve(state, rendezvous=own))
    state = evolve(state, rendezvous=known)
    if reported.about not in state.peers or reported.about == reported.observer:
        return state, ()
    return _told(state, reported, moment), ()


def take_search(state: State, sought: Sought, moment: float) -> State:
    """A peer looks for this node: it does not hear us, even if we hear it."""
    if not {sought.by, sought.observer} <= state.peers.keys() or sought.by == sought.observer:
        return state
    peer = evolve(state.peers[sought.by], sought=moment)
    is_opened = peer.punched is not None and moment - peer.punched < ACTS and not sought.relayed
    is_awaited = is_opened and bool(peer.tries) and peer.tries[0][0] in peer.aims
    if is_awaited:  # and now theirs is open, too
        peer = evolve(peer, next_try=min(peer.next_try, moment + lead(sought.by, peer, state, moment)))
    known = has_answered(state.rendezvous, sought.observer, moment)
    state = evolve(state, rendezvous=known, peers={**state.peers, sought.by: peer})
    reported = Reported(sought.observer, sought.by, sought.sightings)
    return state if is_awaited else _told(state, reported, moment, whatever=True)


def lead(key: str, peer: PeerState, state: State, moment: float) -> float:
    """Seconds until the endpoint of a peer is set, now that both NATs are open."""
    return LEAD if has_young_session(peer, moment) or state.here.key <= key else LEAD + TURN


def _told(state: State, reported: Reported, moment: float, *, whatever: bool = False) -> State:
    """Keep the report, and have it acted on unless that was just done. ``whatever``: even if the peer is up."""
    known, about = with_reports(state.rendezvous, reported, moment), reported.about
    found = {report.endpoint for report in fresh(known, about, moment) if report.observer == reported.observer}
    peer = state.peers[about]
    is_new = peer.punched is None or moment - peer.punched >= AGAIN or not found <= set(peer.aims)
    if found and is_new and peer.phase != MISSING and (whatever or peer.phase != UP):
        calling = known.calls.get(about, Calling())
        waits = evolve(calling, next=max(calling.next, moment + CALLED))
        known = evolve(known, told={about: moment, **known.told}, calls={**known.calls, about: waits})
    return evolve(state, rendezvous=known)


def _classified(state: State) -> Decision:
    """The class of our NAT. What was seen before our own network changed says nothing about it."""
    known = state.rendezvous
    reports = [report for report in known.reports[state.here.key] if report.seen >= known.moved]
    found = nat_class(reports, state.surroundings.own, _sites(state.peers, reports))
    if found in (UNKNOWN, known.said):
        return evolve(state, rendezvous=evolve(known, nat=found)), ()
    return evolve(state, rendezvous=evolve(known, nat=found, said=found)), (Announce("", _IS[found]),)


def _sites(peers: Mapping[str, PeerState], reports: Iterable[Report]) -> dict[str, str]:
    """Where this node reaches those who report."""
    found = {report.observer: peers[report.observer] for report in reports if report.observer in peers}
    return {key: peer.good or peer.endpoint for key, peer in found.items()}


def is_hopeless(key: str, state: State, moment: float) -> bool:
    """Whether both this node and the peer are behind hard NATs: neither can know the other's port (R15)."""
    if state.rendezvous.nat != HARD:
        return False
    reports = fresh(state.rendezvous, key, moment)
    return nat_class(reports, frozenset(), _sites(state.peers, reports)) == HARD


def after_move(known: Rendezvous, own: str, moment: float) -> Rendezvous:
    """Our own network changed: forget where we were seen, and ask others again soon (R5)."""
    reports = {key: found for key, found in known.reports.items() if key != own}
    calls = {key: evolve(calling, count=0, next=min(calling.next, moment)) for key, calling in known.calls.items()}
    return evolve(
        known, reports=reports, calls=calls, nat=UNKNOWN, published=0, publish=moment, moved=moment, waiting={}
    )  # fmt: skip


def without(known: Rendezvous, listed: Iterable[str], own: str) -> Rendezvous:
    """Forget peers that left the list."""
    kept = {*listed, own}
    return evolve(
        known,
        reports={key: found for key, found in known.reports.items() if key in kept},
        told={key: since for key, since in known.told.items() if key in kept},
        calls={key: calling for key, calling in known.calls.items() if key in kept},
        waiting={key: since for key, since in known.waiting.items() if key in kept},
    )


def is_missed(peer: PeerState, moment: float) -> bool:
    """Whether others are asked for it: it is silent, or was never heard and has no endpoint or no answer there."""
    if peer.silent:
        return True
    if peer.phase != NEW or peer.seen is None:
        return False
    if not peer.endpoint:
        return True
    return peer.stranger and peer.asked is not None and moment - peer.asked >= UNANSWERED


def call(state: State, missed: Collection[str], moment: float) -> Decision:
    """Ask for the peers that are ``missed``, as their time comes, and where this node itself is seen."""
    known, actions = state.rendezvous, list[Call]()
    if known.calls:
        calls = {key: calling for key, calling in known.calls.items() if state.peers[key].phase != UP}
        state = evolve(state, rendezvous=(known := evolve(known, calls=calls)))
    calls = dict(known.calls)
    due = [key for key in missed if known.calls.get(key, Calling()).next <= moment]
    publish = known.publish if not state.cut_off else min(known.publish, known.called + DOUBT_AGAIN)
    is_told = moment >= publish and bool(state.here.key) and bool(state.surroundings.versions)
    if not (due or is_told):
        return state, ()
    ready = observers(state, moment)
    if state.cut_off:
        ready = [key for key in ready if moment - state.peers[key].heard < HEARD_LATELY]
    allowance = min(CALLS_AT_ONCE, known.allowance + (moment - known.called) / CALL_EVERY)
    for key in sorted(due, key=lambda key: calls.get(key, Calling()).count):
        if allowance < 1:
            break
        calling = calls.get(key, Calling())
        relays = [relay for relay in to_ask(state, key) if not is_deaf(known, relay, moment)]
        if not (asked := _chosen(_anchors(key, state, moment) or ready, key, state, calling.count, relays)):
            continue
        calls[key] = Calling(calling.count + 1, moment + _pause(calling, relays))
        allowance -= 1
        actions.append(Call(key, asked, own_candidates(state)))
    if is_told and ready:
        known = evolve(known, published=known.published + 1, publish=moment + _publish_pause(known))
        actions.append(Call(state.here.key, _chosen(ready, "", state), own_candidates(state)))
    if not actions:
        return state, ()
    asked_now = {observer for action in actions for observer in action.observers}
    known = has_asked(evolve(known, calls=calls, allowance=allowance, called=moment), asked_now, moment)
    return evolve(state, rendezvous=known), tuple(actions)


def _pause(calling: Calling, relays: Collection[str]) -> float:
    pause = repeating(CALL_AGAIN, calling.count)
    return min(pause, RELAYS_AGAIN) if relays else pause


def _publish_pause(known: Rendezvous) -> float:
    if known.nat == UNKNOWN and known.published < len(PUBLISH_SOON):
        return PUBLISH_SOON[known.published]
    return PUBLISH_PUBLIC if known.nat == PUBLIC else PUBLISH


def observers(state: State, moment: float) -> list[str]:
    """The live peers that may be asked; those with an endpoint in the list first, for they are out in the open."""
    ready = [key for key in state.peers if _may_be_asked(key, state, moment) and is_there(state.peers, key, moment)]
    return sorted(ready, key=lambda key: (not state.peers[key].declared.endpoint, state.peers[key].declared.name))


def _anchors(missed: str, state: State, moment: float) -> list[str]:
    """In a large mesh, who hears a missed peer all the time. That this node may not have heard from those does not
    matter."""
    if not is_large(state.peers) or state.cut_off:
        return []
    return [key for key in state.anchors[missed] if _may_be_asked(key, state, moment, NEW)][:ANCHORS]


def _may_be_asked(key: str, state: State, moment: float, *also: str) -> bool:
    """Whether it is up, or in another phase that counts ``also``, and answers as far as is known."""
    peer = state.peers[key]
    is_well = (peer.phase == UP or peer.phase in also) and peer.declared.managed and not peer.misses
    return is_well and not is_deaf(state.rendezvous, key, moment)


def _chosen(ready: list[str], about: str, state: State, turn: int = 0, relays: Iterable[str] = ()) -> tuple[str, ...]:
    """Three of those that are ready, if possible at different addresses and others in every turn; and ``relays``.

    A relay that carries the peer is left out: `relaying` asks it, by telling the other end through it.
    """
    others = [key for key in ready if key not in (about, state.relaying.relay_of(about))]
    start = turn * OBSERVERS % len(others) if others else 0
    found = dict[str, str]()
    for key in others[start:] + others[:start]:
        found.setdefault(state.peers[key].good.rpartition(":")[0], key)
        if len(found) == OBSERVERS:
            break
    rest = [key for key in others if key not in found.values()]
    return tuple(dict.fromkeys((*[*found.values(), *rest][:OBSERVERS], *relays)))


def own_candidates(state: State) -> tuple[str, ...]:
    """Where this node says it is: the endpoint that its router forwards, then its addresses outside the tunnel."""
    reports = state.rendezvous.reports.get(state.here.key, ())
    mapped = "" if is_contradicted(state.mapped, reports, state.mapped_at) else state.mapped
    if not state.here.port:
        return (mapped,) if mapped else ()
    outside = [address for address in state.surroundings.own if _is_outside(address, state)]
    addresses = sorted(outside, key=lambda address: (is_inner(address), address.version, int(address)))
    endpoints = (str(Endpoint(str(address), state.here.port)) for address in addresses)
    return tuple(dict.fromkeys(each for each in (mapped, *endpoints) if each))[:CANDIDATES]


def _is_outside(address: Address, state: State) -> bool:
    mine = {text.partition("/")[0] for text in state.here.addresses}
    inside = state.tunnel.reach(address, None) is Reach.INSIDE
    return not (inside or address.is_link_local or str(address) in mine)
