"""Meeting a peer where others see it: open our NAT, call, and set the endpoint once the peer calls too (R7, R8).

An opener is a packet that passes our NAT and dies before theirs. Once both ends have sent one, what each sends to the
other's endpoint comes through: a packet of the session while it is young, else a handshake. Without openers, a router
that accepts unsolicited packets takes the first one for a flow of its own, and gives its own machine another port.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from attrs import evolve, frozen

from mesh_watchdog.policy.actions import Action, Call, Open, Probe
from mesh_watchdog.policy.candidates import candidates, expected, usable
from mesh_watchdog.policy.dns_names import numeric
from mesh_watchdog.policy.endpoint_search import TRY_OLD
from mesh_watchdog.policy.known_ways import lacking
from mesh_watchdog.policy.nat_class import is_inner
from mesh_watchdog.policy.peer import NEW, RX_HOLDS, SEARCHING, SUSPECT, UP, PeerState, probed
from mesh_watchdog.policy.rendezvous import LEAD, UNANSWERED, is_hopeless, own_candidates
from mesh_watchdog.policy.repeating import repeating
from mesh_watchdog.policy.reports import SEEN, TOLD, Report, fresh
from mesh_watchdog.policy.state import State

OPENERS = ((2, 3), (4, 5), (6, 8))
"""Hops that the openers of the first, second and third attempt live for. Two pass a router at home, three a provider's
NAT behind it. A longer life does no harm once the other end has sent its own, and both ends hear of each other within
the time that a packet between them takes."""
UNASKED = 3.0
"""Seconds after the opener until the endpoint of a peer that does not call is set: it may have no watchdog."""
TARGETS = 4
"""Reported endpoints that are tried in one attempt."""
PAUSE = 6.0
"""Seconds for which no round of other candidates begins."""
COUNTS_FOR = 5.0
"""Seconds after which a report that could not be acted on is dropped: the other end has long done so."""

MINUTE = 60.0
TO_ONE_ADDRESS = 30
"""Openers and tries to one address in a minute, whatever is reported about whichever peers …"""
BY_ONE_OBSERVER = 80
"""… because of one observer …"""
IN_ALL = 240
"""… and in all."""
AT_ONE_ADDRESS = 8
"""Silent peers that are sent to one reported address at the same time."""
NONE = frozenset[str]()


@frozen
class Target:
    """A reported endpoint that is worth a try; ``opened``: there is a NAT in between."""

    endpoint: str
    source: str
    observer: str
    opened: bool = True


class _Budget:
    """What was sent to reported addresses in the last minute, or will be, and what still may be."""

    def __init__(self, aimed: Iterable[tuple[float, str, str]], moment: float) -> None:
        self._moment = moment
        self.spent = [one for one in aimed if moment - one[0] < MINUTE + TARGETS * TRY_OLD]

    def take(self, target: Target, packets: int) -> bool:
        """Whether so many packets may be sent there; they count from now on."""
        address = str(numeric(target.endpoint))
        there = sum(one[1] == address for one in self.spent) + packets
        on_its_word = sum(one[2] == target.observer for one in self.spent) + packets
        if there > TO_ONE_ADDRESS or on_its_word > BY_ONE_OBSERVER or len(self.spent) + packets > IN_ALL:
            return False
        self.spent += [(self._moment, address, target.observer)] * packets
        return True


def take_up(state: State, moment: float) -> tuple[State, list[Action], Set[str]]:
    """Act on what was reported. Return also the addresses to which the routes have to be known first."""
    known = state.rendezvous
    if not known.told:
        return state, [], frozenset()
    peers, done, places, left = dict(state.peers), list[Action](), set[str](), dict[str, float]()
    budget, crowds = _Budget(known.aimed, moment), _sent_by_hearsay(state)
    for key, since in known.told.items():
        peer = state.peers[key]
        if peer.seen is None or moment - since > COUNTS_FOR:
            continue
        reports = _sensible(key, state, moment)
        addresses = {str(numeric(report.endpoint)) for report in reports}
        if state.cut_off or _is_held(peer, moment) or state.birthday.is_settling(key):
            left[key] = since
        elif lacking(addresses, state, moment):
            left[key] = since
            places |= addresses
        else:
            targets = _ranked([report for report in reports if usable(report.endpoint, state)], key, state, moment)
            peers[key], actions = _meet(key, targets, evolve(state, peers=peers), budget, crowds, moment)
            done += actions
    known = evolve(known, told=left, aimed=tuple(budget.spent))
    return evolve(state, peers=peers, rendezvous=known), done, places


def _is_held(peer: PeerState, moment: float) -> bool:
    """Whether a handshake may be under way, or the peer may still answer at the endpoint that the list gives it."""
    if peer.phase == UP:
        return False
    if peer.reached is not None and moment - peer.reached < RX_HOLDS:
        return True
    waits = peer.phase == NEW and peer.stranger and bool(peer.endpoint)
    return waits and (peer.asked is None or moment - peer.asked < UNANSWERED)


def _sensible(key: str, state: State, moment: float) -> list[Report]:
    """The reports that can apply to us. A private address does only where we are in that network too."""
    reports = fresh(state.rendezvous, key, moment)
    own = {numeric(report.endpoint) for report in fresh(state.rendezvous, state.here.key, moment) if not report.own}
    together = any(numeric(report.endpoint) in own for report in reports if not report.own)

    def is_sensible(report: Report) -> bool:
        address = numeric(report.endpoint)
        if address is None or address in state.surroundings.own:
            return False
        if not is_inner(address):
            return True
        there = numeric(state.peers[report.observer].endpoint) if report.observer in state.peers else None
        return together if report.own else there is not None and is_inner(there)

    return [report for report in reports if is_sensible(report)]


def _ranked(reports: list[Report], key: str, state: State, moment: float) -> list[Target]:
    """The same network first, then where others see the peer, the freshest first, then what it says itself (R7)."""
    hopeless = is_hopeless(key, state, moment)
    near, seen, told = list[Target](), list[Target](), list[Target]()
    for report in reports:
        address = numeric(report.endpoint)
        if report.own and address and is_inner(address):
            near.append(Target(report.endpoint, TOLD, report.observer, opened=False))
        elif report.own:
            told.append(Target(report.endpoint, TOLD, report.observer))
        elif not hopeless:
            seen.append(Target(report.endpoint, SEEN, report.observer))
    ranked = {target.endpoint: target for target in reversed([*near, *seen, *told])}
    return list(reversed(ranked.values()))[:TARGETS]


def _meet(
    key: str, targets: list[Target], state: State, budget: _Budget, crowds: Mapping[str, Set[str]], moment: float
) -> tuple[PeerState, list[Action]]:
    """Open our NAT towards the targets, call, and queue their endpoints if the peer is silent."""
    peer = state.peers[key]
    if peer.punched is not None and moment - peer.punched > MINUTE:
        peer = evolve(peer, punches=0)
    hops = repeating(OPENERS, peer.punches)
    is_silent = peer.silent or peer.stranger
    goals, actions = list[Target](), list[Action]()
    for target in targets:
        opens = target.opened and (is_silent or target.endpoint != peer.endpoint)
        crowded = is_silent and len(crowds.get(str(numeric(target.endpoint)), NONE) - {key}) >= AT_ONE_ADDRESS
        if crowded or not budget.take(target, len(hops) * opens + 1):
            continue
        goals.append(target)
        actions += [Open(key, target.endpoint, ttl) for ttl in hops if opens]
    if goals:  # ours is open, or will be before this arrives
        actions.append(Call(key, tuple(dict.fromkeys(goal.observer for goal in goals)), own_candidates(state)))
    if is_silent:
        return (_counted(key, _aimed(peer, goals, state, moment), state, moment) if goals else peer), actions
    if peer.phase == UP and peer.asked is None:
        peer = evolve(probed(peer, moment), wanted=peer.wanted or moment)
        actions.append(Probe(key))
    return _counted(key, peer, state, moment), actions


def _aimed(peer: PeerState, goals: list[Target], state: State, moment: float) -> PeerState:
    """A silent peer with these endpoints to try once it calls, or after a while; then where it was, or may be."""
    if peer.phase == NEW:
        peer = evolve(peer, phase=SEARCHING, since=moment, expected=expected(peer, state.names))
    tries = [(target.endpoint, target.source) for target in goals]
    due = moment + UNASKED
    if peer.tries and peer.tries[0][0] in peer.aims:  # waited for already
        due = min(due, max(peer.next_try, moment + LEAD))
    home = peer.endpoint
    if peer.tries:
        rest = [pair for pair in peer.tries if pair not in tries]
    elif peer.phase == SUSPECT and home:
        tries = [pair for pair in tries if pair[0] != home]
        rest = [(home, peer.source)]
    else:
        rest = [pair for pair in candidates(peer, state)[:1] if pair[0] not in {endpoint for endpoint, _ in tries}]
    return evolve(peer, tries=(*tries, *rest), next_try=due, next_round=max(peer.next_round, moment + PAUSE))


def _counted(key: str, peer: PeerState, state: State, moment: float) -> PeerState:
    """The peer after all reports about it were dealt with, if only by leaving them."""
    aims = tuple(report.endpoint for report in fresh(state.rendezvous, key, moment))
    return evolve(peer, punched=moment, punches=peer.punches + 1, aims=aims)


def _sent_by_hearsay(state: State) -> dict[str, set[str]]:
    """By address, the silent peers that are sent there because others reported it."""
    found = dict[str, set[str]]()
    for key, peer in state.peers.items():
        if peer.phase != UP and peer.source in (SEEN, TOLD):
            found.setdefault(str(numeric(peer.endpoint)), set()).add(key)
    return found
