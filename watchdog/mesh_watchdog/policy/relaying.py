"""Peers that cannot be reached directly are reached through a relay, and directly again as soon as that works.

A relay carries a peer by having the peer's allowed IPs, here and at the other end (`mesh_sync.wireguard.relays`). The
peer stays on the interface and is searched for like any silent one. Whatever arrives from it there came directly, and
then both ends take its allowed IPs back. What passes through the relay moves only the relay's counters, so whether it
arrives is unknown.

Both ends must choose the same relay: they use the same order, and the end that moves tells the other through the relay.
A relay is used only if it is up here and says that it sees the peer, so it never passes packets on to another relay.
`rendezvous` asks the relays of a pair along with the other observers; none is asked from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve

from mesh_sync.wireguard.relays import own_networks
from mesh_watchdog.policy.actions import Action, Call, Carry, Probe
from mesh_watchdog.policy.nat_class import EASY, HARD
from mesh_watchdog.policy.observations import Declared, Pairs, Reported, Sighting, Sought
from mesh_watchdog.policy.peer import MISS, UP, PeerState, probed
from mesh_watchdog.policy.relay_order import is_ready, is_relay, may_be_carried, order
from mesh_watchdog.policy.relayed import Carried, Relaying
from mesh_watchdog.policy.rendezvous import own_candidates
from mesh_watchdog.policy.repeating import repeating
from mesh_watchdog.policy.state import Decision, State

CARRY_AFTER = 2.0
"""Seconds without an answer after which a relay carries the peer: a direct path is found sooner, or takes long."""
CARRY_HARD = 1.0
"""The same for a pair of NATs of which one is hard, as both say: if they can meet, they have met by then."""
CARRY_KNOWN = 1.2
"""The same for a peer that was heard before: by then it is surely silent (R3), and traffic may be waiting."""
TELL_AGAIN = (0.5, 1.0, 2.0, 5.0, 10.0, 25.0)
"""Seconds between messages to the other end that it is relayed; the last repeats, as that end may have restarted …"""
TELL_EVERY = 0.5
"""… but where many are relayed only so often that there is one of these messages in this time."""
SEEN_AGE = 180.0
"""Seconds for which a relay's sighting of the peer counts: as long as a session lasts without a handshake."""
HEARD_LATELY = 1.0
"""A peer heard within this many seconds is reached directly, whatever others say.

Less than CARRY_KNOWN: a peer that was cut off from both ends in the same moment is followed when it first says so; one
that is up when it says so once more, and has not answered meanwhile: the word of a relay alone parts no two peers that
hear each other."""
SETTLED = 3.0
"""Within this many seconds of a move, if the ends chose different relays, both take the later one of the order."""
READINGS = 2
"""This many readings after a move may still show what was received before it."""
RETURNED, UNSURE = 3.0, 10.0
"""For RETURNED seconds a return stands, whatever the other end says: its word may be older than ours, and it hears the
packet that goes with ours. What it says from then on, until UNSURE, counts even if we hear it: the path leads only one
way."""
HOLD, LONGEST_HOLD = 5.0, 300.0
"""After a direct path that did not last, the next one waits HOLD seconds, then twice that, up to LONGEST_HOLD …"""
STEADY = 600.0
"""… unless it lasted this many seconds."""


def listed(known: Relaying, peers: Mapping[str, Declared], renewed: Pairs) -> Relaying:
    """What is known under a new list: peers that left it and peers that no longer relay are forgotten.

    ``renewed``: the peers that have changed their key, by the one under which they are known.
    """
    relays = {declared.name: key for key, declared in peers.items() if declared.relay}
    if not relays:
        return Relaying()

    def called(key: str) -> str:
        return renewed.get(key, key)

    carried = {called(key): evolve(each, relay=called(each.relay)) for key, each in known.peers.items()}
    seen = {(called(relay), called(key)): when for (relay, key), when in known.seen.items()}
    return Relaying(
        relays,
        {key: each for key, each in carried.items() if key in peers},
        {pair: when for pair, when in seen.items() if pair[0] in relays.values() and pair[1] in peers},
    )


def take_report(state: State, reported: Reported, moment: float) -> Decision:
    """A relay has said whether it sees a peer."""
    relay, about = reported.observer, reported.about
    if not is_relay(state, relay) or about not in state.peers:
        return state, ()
    return _see_to(_with_seen(state, relay, about, _last_seen(reported.sightings, moment)), [about], moment)


def take_search(state: State, sought: Sought, moment: float) -> Decision:
    """A relay passes on that a peer looks for this node, so it sees that peer.

    If the peer says that its packets come through this relay, ours go the same way, unless we hear it directly.
    """
    key, relay = sought.by, sought.observer
    if not may_be_carried(state, key) or not is_relay(state, relay):
        return state, ()
    if (seen := _last_seen(sought.sightings, moment)) is not None:
        state = _with_seen(state, relay, key, seen)
    if sought.relayed and _is_followed(state, key, relay, moment):
        return _carry(state, key, relay, moment)
    peer = state.peers[key]
    if sought.relayed and (now := state.relaying.peers.get(key)) and now.relay:
        state = _with(state, key, evolve(now, freed=False))
    elif sought.relayed and peer.phase == UP and peer.asked is None and moment - peer.heard >= HEARD_LATELY:
        peer = evolve(probed(peer, moment), wanted=peer.wanted or moment)
        return evolve(state, peers={**state.peers, key: peer}), (Probe(key),)
    return _see_to(state, [key], moment)


def take_return(state: State, sought: Sought, moment: float) -> Decision:
    """A relay passes on that a peer which it carried for us is sent to directly again, as it has heard us.

    As soon as we hear it, too, ours go the same way: two ends that wait for times of their own would never meet. If we
    do not, it is told so when it believes it again.
    """
    key, now = sought.by, state.relaying.peers.get(sought.by)
    if now is None or not now.relay or not is_relay(state, sought.observer):
        return state, ()
    state = _with(state, key, evolve(now, freed=True, tell=min(now.tell, moment + RETURNED), told=0))
    return _see_to(state, [key], moment)


def _is_followed(state: State, key: str, relay: str, moment: float) -> bool:
    """Whether a peer whose packets come through this relay gets ours through it too."""
    peer, now = state.peers[key], state.relaying.peers.get(key, Carried("", float("-inf")))
    if not is_ready(state, relay) or now.relay == relay:
        return False
    if not now.relay and moment - now.since < UNSURE:
        return moment - now.since >= RETURNED
    if peer.lived and moment - peer.heard < HEARD_LATELY:
        return False
    if peer.phase == UP and not now.relay and not _is_unanswered(peer, moment):
        return False
    if not now.relay or not is_ready(state, now.relay) or moment - now.since >= SETTLED:
        return True
    places = order(state, key)
    return places.index(relay) > places.index(now.relay)


def _is_unanswered(peer: PeerState, moment: float) -> bool:
    """Whether a peer owes an answer for longer than it usually takes."""
    return peer.asked is not None and moment - peer.asked >= (MISS if peer.usual is None else peer.miss_after)


def step(state: State, busy: Iterable[str], moment: float) -> Decision:
    """See to every peer that is carried or may have to be, after a reading of the interface."""
    if not state.relaying.relays:
        return state, ()
    state, asks = _settled(_as_found(state, busy, moment), moment)
    state, done = _see_to(state, busy, moment)
    return state, (*asks, *done)


def why(state: State, key: str, moment: float) -> str:
    """What is known of a peer that is relayed, as a clause; empty for any other."""
    relay = state.relaying.relay_of(key)
    if not relay or relay not in state.peers:
        return ""
    name, when = state.peers[relay].declared.name, state.relaying.seen.get((relay, key), float("-inf"))
    if not is_ready(state, relay):
        return f"{name} does not answer, and there is no other relay"
    if when is None:
        return f"{name} does not see it either"
    if moment - when > SEEN_AGE:
        return f"no direct path; whether {name} sees it is not known"
    return f"no direct path; {name} saw it {moment - when:.0f} s ago"


def _settled(state: State, moment: float) -> tuple[State, tuple[Probe, ...]]:
    """Count another reading. The first ones after a move may show what was received before it.

    A packet from each end then shows whether there is a direct path after all.
    """
    fresh = {
        key: evolve(now, settled=moment, readings=now.readings + 1)
        for key, now in state.relaying.peers.items()
        if now.relay and now.readings < READINGS
    }
    if not fresh:
        return state, ()
    asks = tuple(Probe(key) for key, now in fresh.items() if now.readings == READINGS and state.peers[key].endpoint)
    return evolve(state, relaying=evolve(state.relaying, peers={**state.relaying.peers, **fresh})), asks


def taken_back(before: State, after: State, keys: frozenset[str]) -> State:
    """The state after the allowed IPs of some peers could not be moved."""
    peers = {key: each for key, each in after.relaying.peers.items() if key not in keys}
    peers |= {key: before.relaying.peers[key] for key in keys & before.relaying.peers.keys()}
    return evolve(after, relaying=evolve(after.relaying, peers=peers))


def _see_to(state: State, keys: Iterable[str], moment: float) -> Decision:
    done: list[Action] = []
    for key in keys:
        if state.peers[key].phase == UP and not state.relaying.relay_of(key):
            continue
        state, actions = _one(state, key, moment)
        done += actions
    return state, tuple(done)


def _one(state: State, key: str, moment: float) -> Decision:
    if not may_be_carried(state, key) or state.peers[key].seen is None:
        return state, ()
    peer, now = state.peers[key], state.relaying.peers.get(key)
    if now is not None and now.relay:
        if peer.phase == UP and peer.lived and peer.heard > now.settled and moment - now.since >= _hold(now):
            return _direct(state, key, moment)
        useless = not is_ready(state, now.relay) or state.relaying.seen.get((now.relay, key), moment) is None
        if useless and (other := _choice(state, key, moment, but=now.relay, blindly=True)):
            return _carry(state, key, other, moment)
        return _tell(state, key, now, moment)
    since = peer.missed_since
    if since is None or state.cut_off:
        return state, ()
    is_time = moment - since >= _patience(state, key)
    relay = _choice(state, key, moment) if is_time else ""
    return _carry(state, key, relay, moment) if relay else (state, ())


def _patience(state: State, key: str) -> float:
    """Seconds without an answer after which a peer is carried."""
    ends = {state.rendezvous.nat, state.birthday.said[key][1].nat} if key in state.birthday.said else set()
    if ends in ({HARD}, {HARD, EASY}):
        return CARRY_HARD
    return CARRY_KNOWN if state.peers[key].lived else CARRY_AFTER


def _hold(now: Carried) -> float:
    """How long a peer is carried at least."""
    return min(HOLD * 2 ** (now.returns - 1), LONGEST_HOLD) if now.returns and not now.freed else 0.0


def _carry(state: State, key: str, relay: str, moment: float) -> Decision:
    now = state.relaying.peers.get(key)
    returns = now.returns if now else 0
    if now and not now.relay:  # the direct path did not last
        returns = 0 if moment - now.since > STEADY else returns + 1
    carried = Carried(relay, moment, tell=moment, returns=returns)
    state, told = _tell(_with(state, key, carried), key, carried, moment)
    name = state.peers[relay].declared.name
    return state, (Carry(key, relay, f"is reached through the relay {name}"), *told)


def _direct(state: State, key: str, moment: float) -> Decision:
    """Take it back; the other end is told, and sent a packet, so that it does the same."""
    was = state.relaying.peers[key]
    state = _with(state, key, Carried("", moment, returns=was.returns))
    text = f"is reached directly, at {state.peers[key].endpoint}"
    return state, (Carry(key, "", text), Call(key, (was.relay,), own_candidates(state), direct=True), Probe(key))


def _tell(state: State, key: str, now: Carried, moment: float) -> Decision:
    """Tell the other end through which relay our packets come."""
    if moment < now.tell:
        return state, ()
    pause = repeating(TELL_AGAIN, now.told)
    if pause == TELL_AGAIN[-1]:
        pause = max(pause, TELL_EVERY * sum(bool(each.relay) for each in state.relaying.peers.values()))
    state = _with(state, key, evolve(now, tell=moment + pause, told=now.told + 1))
    return state, (Call(key, (now.relay,), own_candidates(state), relayed=True),)


def _choice(state: State, key: str, moment: float, *, but: str = "", blindly: bool = False) -> str:
    """The first relay that is up and sees the peer. ``blindly``: else the first of which that is not known."""
    ready = (relay for relay in state.relaying.relays.values() if relay != but and is_ready(state, relay))
    seen = {relay: state.relaying.seen.get((relay, key), float("-inf")) for relay in ready}
    fresh = {relay for relay, when in seen.items() if when is not None and moment - when <= SEEN_AGE}
    unsure = {relay for relay, when in seen.items() if blindly and when is not None}
    chosen = fresh or unsure
    return next(relay for relay in order(state, key) if relay in chosen) if chosen else ""


def _last_seen(sightings: Iterable[Sighting], moment: float) -> float | None:
    """When an observer last saw a peer itself; None if it did not."""
    return max((moment - each.age for each in sightings if not each.own), default=None)


def _with_seen(state: State, relay: str, key: str, seen: float | None) -> State:
    known = state.relaying
    return evolve(state, relaying=evolve(known, seen={**known.seen, (relay, key): seen}))


def _with(state: State, key: str, carried: Carried) -> State:
    known = state.relaying
    return evolve(state, relaying=evolve(known, peers={**known.peers, key: carried}))


def _as_found(state: State, busy: Iterable[str], moment: float) -> State:
    """Take over what the interface shows: mesh-sync or an earlier watchdog may have moved allowed IPs too."""
    changed = dict(_found(state, busy, moment))
    if not changed:
        return state
    return evolve(state, relaying=evolve(state.relaying, peers={**state.relaying.peers, **changed}))


def _found(state: State, busy: Iterable[str], moment: float) -> Iterator[tuple[str, Carried]]:
    holders: Mapping[str, str] | None = None
    known = state.relaying.peers
    for key in busy:
        peer = state.peers[key]
        if peer.seen is None or (peer.seen.carries and key not in known):  # nearly all
            continue
        now = known.get(key)
        if now and moment - now.since < 1.0:  # this reading may be older
            continue
        if peer.seen.carries:
            if now and now.relay:
                yield key, Carried("", moment, returns=now.returns)
        elif may_be_carried(state, key):
            holders = _holders(state) if holders is None else holders
            places = {holders.get(address) for address in own_networks(peer.declared.addresses)}
            if len(places) == 1 and (relay := places.pop()) and relay != (now.relay if now else ""):
                yield key, Carried(relay, moment, tell=moment)


def _holders(state: State) -> dict[str, str]:
    """By allowed IP, the relay that has it on the interface."""
    relays = ((key, state.peers[key].seen) for key in state.relaying.relays.values())
    return {address: key for key, seen in relays if seen for address in seen.allowed_ips}
