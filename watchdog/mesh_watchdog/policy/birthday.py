"""Meeting a peer where one end is behind an easy NAT and the other behind a hard one. IPv4 only. Pure.

The hard end opens many ports towards the easy one and listens on them; the easy end knocks at random ports of the
other's address. It is enough that one of 64,512 ports was chosen by both, as with birthdays. From then on the hard
end's WireGuard uses that port (`mesh_sync.wireguard.port_rewriting`).

The hard end begins: it calls, ready for a round. The easy end calls back, ready too, and knocks; when the hard end
hears that, it opens its ports. So nothing is sent unless both ends are ready. Where it is sent follows from what
observers say, which is why all of it is bounded (`rounds`).
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from attrs import evolve

from mesh_sync.wireguard.port_rewriting import Rewriting
from mesh_watchdog.policy.actions import (
    Announce,
    AwaitKnocks,
    Call,
    EndRound,
    Knock,
    Probe,
    Rewrite,
    SetEndpoint,
)
from mesh_watchdog.policy.candidates import usable
from mesh_watchdog.policy.dns_names import numeric
from mesh_watchdog.policy.known_ways import asked, lacking
from mesh_watchdog.policy.nat_class import EASY, HARD, UNKNOWN, is_inner
from mesh_watchdog.policy.observations import ABLE, NOW, Knocked, Reported, Rewritten, Sighting, Sought, Standing
from mesh_watchdog.policy.peer import MISSING, SEARCHING, UP, probed
from mesh_watchdog.policy.rendezvous import OBSERVERS, is_missed, own_candidates
from mesh_watchdog.policy.repeating import repeating
from mesh_watchdog.policy.reports import REPORT_AGE, fresh
from mesh_watchdog.policy.rounds import LASTED, SOURCE, Birthday, Pair, Round
from mesh_watchdog.policy.state import Decision, State

KNOCKS, PORTS = 1024, 256
"""Entries that a round makes in the table of the easy end's router, and in that of the hard end's."""
HOPS = (3, 5, 8)
"""Hops that the packets of the first, second and third round live for; a provider's NAT is the second."""
AFTER = 3.0
"""Seconds for which a peer is missed before a round: everything else has been tried by then."""
INVITE_AGAIN = 30.0
"""Seconds after which a peer that did not answer an invitation gets another one."""
ANSWERS = 4.0
"""Seconds for the answer to an invitation."""
WISH_LASTS = 1.5
"""Seconds for which an invitation waits until the routes are known."""
ROUND = 10.0
"""Seconds after which a round has failed: 3 for the knocks, then a handshake, which WireGuard begins every 5."""


def standing(state: State, *, now: bool = False) -> Standing:
    """What this node says of itself in its calls; ``now``: it is ready for a round with the called peer."""
    nat = "" if state.rendezvous.nat == UNKNOWN else state.rendezvous.nat
    return Standing(nat, (NOW if now else ABLE) if state.birthday.on else "")


# -- what comes


def take_report(state: State, reported: Reported, moment: float) -> State:
    """Remember what a peer says of itself."""
    return _heard_of(state, reported.about, reported.standing, moment)


def take_search(state: State, sought: Sought, moment: float) -> Decision:
    """A peer calls. If it is ready for a round, it invites this node, or answers its invitation."""
    state = _heard_of(state, sought.by, sought.standing, moment)
    known, place = state.birthday, _place(sought.sightings)
    if sought.standing.birthday != NOW or sought.observer not in state.peers or not place:
        return state, ()
    classes = state.rendezvous.nat, sought.standing.nat
    if classes == (EASY, HARD) and known.round is None:
        wish = sought.by, place.rpartition(":")[0], sought.observer, moment
        return _answer(evolve(state, birthday=evolve(known, wish=wish)), moment)
    if classes == (HARD, EASY) and known.invited[0] == sought.by and moment - known.invited[1] <= ANSWERS:
        return _wait(state, sought.by, place, moment)
    return state, ()


def take_knock(state: State, knocked: Knocked, moment: float) -> Decision:
    """A knock has found an open port: from now on WireGuard uses it towards this peer."""
    known = state.birthday
    now = known.round
    if now is None or now.target != knocked.endpoint or now.hit is not None or now.key not in state.peers:
        return state, ()
    others = frozenset(rule for rule in known.rules or () if rule.endpoint != knocked.endpoint)
    rules = others | {Rewriting(knocked.endpoint, knocked.port, state.here.port)}
    peer = evolve(
        probed(state.peers[now.key], moment), tries=(), next_try=now.began + ROUND, next_round=now.began + ROUND,
        source=SOURCE, last_set=knocked.endpoint,
    )  # fmt: skip
    known = evolve(known, rules=rules, round=evolve(now, hit=moment))
    state = evolve(state, birthday=known, peers={**state.peers, now.key: peer})
    return state, (Rewrite(rules), SetEndpoint(now.key, knocked.endpoint, SOURCE, afresh=True), Probe(now.key))


def take_rules(state: State, rewritten: Rewritten) -> State:
    """Take over what an earlier watchdog left."""
    return evolve(state, birthday=evolve(state.birthday, rules=rewritten.rules))


def without(known: Birthday, listed: Container[str]) -> Birthday:
    """Forget peers that left the list, but not what was sent."""
    return evolve(
        known,
        said={key: said for key, said in known.said.items() if key in listed},
        pairs={key: pair for key, pair in known.pairs.items() if key in listed},
    )


# -- after each reading of the interface


def step(state: State, moment: float) -> Decision:
    """Go on with the round under way, the rewriting, an invitation that waits, and the next one."""
    state, done = _see_to_round(state, moment)
    state, rewrites = _see_to_rules(_judged(state, moment))
    state, actions = begin(state, moment)
    return state, (*done, *rewrites, *actions)


def begin(state: State, moment: float) -> Decision:
    """Answer an invitation that waits, or send one: after each reading, and when the routes become known."""
    if not state.birthday.on or state.birthday.round is not None or state.cut_off or not state.interface:
        return state, ()
    state, actions = _answer(state, moment)
    if state.birthday.round is None and state.rendezvous.nat == HARD:
        state, invitation = _invite(state, moment)
        actions = (*actions, *invitation)
    return state, actions


def _see_to_round(state: State, moment: float) -> Decision:
    known = state.birthday
    now = known.round
    if now is None:
        return state, ()
    peer = state.peers.get(now.key)
    met = peer is not None and peer.phase == UP and peer.heard > now.began
    if not met and peer is not None and known.on and moment - now.began < ROUND:
        return state, ()
    state = evolve(state, birthday=without(known.end(met=met, moment=moment), state.peers))
    return state, (EndRound(), *_announced(state, now, moment, met=met))


def _announced(state: State, ended: Round, moment: float, *, met: bool) -> tuple[Announce, ...]:
    if met:
        took = moment - ended.began
        return (Announce(ended.key, f"is met directly, after {took:.1f} s of packets to many ports"),)
    if ended.key not in state.peers or not state.birthday.on:
        return ()
    minutes = _pair(state, ended.key).pause() / 60
    return (Announce(ended.key, f"is not met by packets to many ports; the next ones after {minutes:.0f} minutes"),)


def _judged(state: State, moment: float) -> State:
    """Judge each round whose path is lost by how long that lasted."""
    pairs = dict(state.birthday.pairs)
    for key, pair in state.birthday.pairs.items():
        if pair.met is not None and key in state.peers and is_missed(state.peers[key], moment):
            pairs[key] = pair.after(failed=moment - pair.met < LASTED)
    return state if pairs == state.birthday.pairs else evolve(state, birthday=evolve(state.birthday, pairs=pairs))


def _see_to_rules(state: State) -> Decision:
    """Drop each rule by which no peer is reached any longer."""
    known = state.birthday
    if not known.rules or not state.here.port:  # nothing is applied (yet)
        return state, ()
    now = known.round
    used = {peer.endpoint for peer in state.peers.values() if peer.phase not in (SEARCHING, MISSING)}
    if now is not None and now.hit is not None:
        used.add(now.target)
    kept = frozenset(
        rule for rule in known.rules if known.on and rule.endpoint in used and rule.own == state.here.port
    )  # fmt: skip
    if kept == known.rules:
        return state, ()
    return evolve(state, birthday=evolve(known, rules=kept)), (Rewrite(kept),)


# -- how a round begins


def _invite(state: State, moment: float) -> Decision:
    """Invite the first peer with which a round may help."""
    known = state.birthday
    since = moment - known.invited[1]
    if since < ANSWERS or not known.allows(PORTS, moment):
        return state, ()
    for key in _candidates(state, moment):
        if key == known.invited[0] and since < INVITE_AGAIN:
            continue
        reports = [one for one in fresh(state.rendezvous, key, moment) if not one.own and _is_v4(one.endpoint)]
        places = {str(numeric(report.endpoint)) for report in reports}
        if lacking(places, state, moment):
            return asked(state, places, moment)
        found = [report for report in reports if _is_good(report.endpoint, state)]
        observers = dict.fromkeys(report.observer for report in found if _is_up(report.observer, state))
        if observers:
            call = Call(key, tuple(observers)[:OBSERVERS], own_candidates(state), now=True)
            return evolve(state, birthday=evolve(known, invited=(key, moment))), (call,)
    return state, ()


def _candidates(state: State, moment: float) -> Iterator[str]:
    """Peers behind easy NATs that take part, are missed, and are due; the one that was invited last comes last."""
    said = state.birthday.said
    able = (key for key, (at, one) in said.items() if one.nat == EASY and one.birthday and moment - at <= REPORT_AGE)
    ready = [key for key in able if key in state.peers and _is_ready(state, key, moment, invited=False)]
    yield from sorted(ready, key=lambda key: (key == state.birthday.invited[0], _pair(state, key).began))


def _is_ready(state: State, key: str, moment: float, *, invited: bool) -> bool:
    """Whether a round with a peer is due; ``invited``: the other end has already waited."""
    peer = state.peers[key]
    since = peer.since if peer.asked is None else peer.asked
    is_time = invited or moment - since >= AFTER
    return is_missed(peer, moment) and is_time and _pair(state, key).is_due(moment, invited=invited)


def _answer(state: State, moment: float) -> Decision:
    """Accept the invitation of a peer behind a hard NAT, if this node may: call back, and knock."""
    known = state.birthday
    if known.wish is None:
        return state, ()
    key, address, observer, since = known.wish
    refused = evolve(state, birthday=evolve(known, wish=None))
    ready = key in state.peers and _is_up(observer, state) and _is_ready(state, key, moment, invited=True)
    free = known.on and known.allows(KNOCKS, moment) and not known.is_useless(address, moment) and not state.cut_off
    if not ready or not free or moment - since > WISH_LASTS:
        return refused, ()
    if lacking({address}, state, moment):
        return asked(state, {address}, moment)
    if not _is_good(f"{address}:1", state):
        return refused, ()
    state = evolve(state, birthday=known.begin(key, address, KNOCKS, moment))
    return state, (Call(key, (observer,), own_candidates(state), now=True), Knock(address))


def _wait(state: State, key: str, endpoint: str, moment: float) -> Decision:
    """Open many ports: the other end has begun to knock."""
    known = state.birthday
    free = known.on and known.round is None and known.allows(PORTS, moment) and not state.cut_off
    if key not in state.peers or not free or not _is_good(endpoint, state):
        return state, ()
    hops = repeating(HOPS, _pair(state, key).failed)
    return evolve(state, birthday=known.begin(key, endpoint, PORTS, moment)), (AwaitKnocks(endpoint, hops),)


# -- places


def _place(sightings: tuple[Sighting, ...]) -> str:
    """Where an observer sees a peer: a public IPv4 endpoint, or empty."""
    return next((one.endpoint for one in sightings if not one.own and _is_v4(one.endpoint)), "")


def _is_v4(endpoint: str) -> bool:
    address = numeric(endpoint)
    return address is not None and address.version == 4 and not is_inner(address)


def _is_good(endpoint: str, state: State) -> bool:
    """Whether packets to there leave outside the tunnel, and not through a metered device."""
    way = state.routed.ways.marked.get(endpoint.rpartition(":")[0])
    return way is not None and way.device not in state.birthday.metered and usable(endpoint, state)


def _is_up(key: str, state: State) -> bool:
    return key in state.peers and state.peers[key].phase == UP


def _pair(state: State, key: str) -> Pair:
    return state.birthday.pairs.get(key, Pair())


def _heard_of(state: State, key: str, said: Standing, moment: float) -> State:
    if key not in state.peers or not said.nat:
        return state
    known = state.birthday
    return evolve(state, birthday=evolve(known, said={**known.said, key: (moment, said)}))
