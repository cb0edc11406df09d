"""How many peers may owe an answer at a time: a crowd of dead ones must not take the interface with it. Pure.

A peer that is sent a packet and does not answer costs more than that packet: WireGuard begins a handshake every 5 s for
90 s. What goes to a neighbour that does not answer, a dead gateway above all, waits in the kernel for 3 s, and counts
for the one socket from which everything is sent. wireguard-go waits until there is room, in a thread for each peer: 256
such packets (212,992 bytes) hold up all peers, and `wg show` as well.

So such peers have places, and there are not many. Who answers gives its place back at once; the others take turns, the
longer they have been silent the less often. A small mesh is not bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set, Sized

from attrs import evolve, frozen

from mesh_sync.wireguard.protocol import REJECT_AFTER_TIME
from mesh_watchdog.policy.peer import MISSING, NEW, PLACE, UP, PeerState
from mesh_watchdog.policy.repeating import repeating

SMALL = 50
"""A mesh of so many peers has a place for each of them, and for as many packets at a time."""
RATE = 50.0
"""Packets to peers in a second, and so many in one burst …"""
RATE_CROWDED = 15.0
"""… and while more than `DOUBTFUL` owe an answer."""
DOUBTFUL = 25
"""Not so many of them are only slow."""
PLACES = 128
"""Peers that may owe an answer at a time. Should all begin a handshake within 3 s, there is room for as many more …"""
PLACES_AGAIN = 96
"""… so many of them that had a turn before: others, that may live, find a place at once …"""
PLACES_AT_ONE = 60
"""… and so many at one address, if nothing was heard from there lately."""
LARGE = 300
"""In a mesh with so many peers …"""
RECENT = 60.0
"""… who was heard longer ago may be gone without being missed …"""
HANDSHAKES = 15.0
"""… and so many packets, in a second, may begin a handshake: WireGuard answers 20 of one address when it has much
to do, and may not be the only one at ours."""
LATELY = 180.0
"""For so long it counts that something was heard from an address, or that this machine sent something to a peer."""
TURN = 60.0
"""Seconds for which a peer is asked and searched for while others wait for its place."""
RESTS = (0.0, 0.0, 60.0, 300.0, 900.0, 1800.0)
"""Seconds from the end of a turn to the next one, by the number of turns, while places are few."""
REFUSED = 5.0
"""A peer that is refused a place is searched for no earlier than after this."""


@frozen(kw_only=True)
class Crowd:
    """``allowance``: packets that may be sent, at the moment ``counted``; ``held``: some wait for that; ``owing``: how
    many peers have places.

    ``sweep``: peers that are still to be asked because all are (R5), and have not been heard since ``swept``.
    """

    allowance: float = RATE
    counted: float = float("-inf")
    held: bool = False
    owing: int = 0
    sweep: tuple[str, ...] = ()
    swept: float = float("-inf")

    @property
    def is_many(self) -> bool:
        """Whether more owe an answer than a small mesh has."""
        return self.owing > SMALL


class Places:
    """Who may be sent a packet at one moment; what was taken of it is in ``crowd``. ``busy``: see `under_way`."""

    def __init__(self, peers: Mapping[str, PeerState], busy: Iterable[str], crowd: Crowd, moment: float) -> None:
        self._peers, self._busy, self._moment = peers, busy, moment
        self.bounded = len(peers) > SMALL
        rate = RATE_CROWDED if crowd.owing > DOUBTFUL else RATE
        allowance = min(rate, crowd.allowance + rate * (moment - crowd.counted))
        self.crowd = evolve(crowd, allowance=allowance, counted=moment, held=False) if self.bounded else crowd
        self._owing, self._holding, self._living = Counter[str](), Counter[str](), dict[str, bool]()
        self._counted = False

    def take(self, peer: PeerState) -> bool:
        """Whether a packet may be sent to it now. Then it has a place until it answers, or WireGuard has given up."""
        if not self.bounded:
            return True
        if not self.admits(peer):
            return False
        if not _has_place(peer, self._moment):
            self._holding[_address(peer)] += 1
        self.crowd = evolve(self.crowd, allowance=self.crowd.allowance - self._cost(peer))
        return True

    def admits(self, peer: PeerState) -> bool:
        """Whether `take` would let it."""
        if self.is_spent:
            self.crowd = evolve(self.crowd, held=True)
            return False
        return not self.bounded or self._has_room(peer)

    def _cost(self, peer: PeerState) -> float:
        has_session = peer.session is not None and self._moment - peer.session < REJECT_AFTER_TIME
        return 1.0 if has_session or not is_large(self._peers) else RATE / HANDSHAKES

    @property
    def is_spent(self) -> bool:
        """Whether no more packets may be sent at this moment."""
        return self.bounded and self.crowd.allowance < 1

    def _has_room(self, peer: PeerState) -> bool:
        self._count()
        where = _address(peer)
        is_used = peer.used is not None and self._moment - peer.used < LATELY
        is_few = self._owing.total() > PLACES or self._is_dead(where, self._owing)
        if _has_place(peer, self._moment):
            return not is_few or peer.turn is None or self._moment - peer.turn < TURN
        rest = 0.0 if is_used else repeating(RESTS, peer.turns)
        if is_few and peer.turns and peer.probed is not None and self._moment - peer.probed < PLACE + rest:
            return False
        most = PLACES_AGAIN if peer.turns and not is_used else PLACES
        return self._holding.total() < most and not self._is_dead(where, self._holding, 1)

    def _is_dead(self, where: str, among: Counter[str], more: int = 0) -> bool:
        """Whether so many at one address owe an answer that it is the address that does not answer."""
        return among[where] + more > PLACES_AT_ONE and not self._lives(where)

    def _lives(self, where: str) -> bool:
        """Whether something was heard from an address lately."""
        if where not in self._living:
            there = (peer for peer in self._peers.values() if peer.phase == UP and _address(peer) == where)
            self._living[where] = any(self._moment - peer.heard < LATELY and peer.asked is None for peer in there)
        return self._living[where]

    def _count(self) -> None:
        if self._counted:
            return
        self._counted = True
        for key in self._busy:
            peer = self._peers[key]
            if peer.phase == MISSING or not peer.endpoint:
                continue
            is_waiting = peer.phase == NEW and not is_large(self._peers)
            if is_waiting or peer.silent or peer.asked is not None:
                self._owing[_address(peer)] += 1
                self._holding[_address(peer)] += _has_place(peer, self._moment)
        self.crowd = evolve(self.crowd, owing=self._holding.total())


def is_large(peers: Sized) -> bool:
    """Whether a mesh has so many peers that not all of them are watched."""
    return len(peers) >= LARGE


def under_way(peers: Mapping[str, PeerState], moment: float, more: Set[str] = frozenset()) -> list[str]:
    """The keys of the peers with which there may be anything to do: in a large mesh those that are not at rest, and
    ``more``."""
    if not is_large(peers):
        return list(peers)
    return [key for key, peer in peers.items() if peer.rests_until <= moment or key in more]


def is_there(peers: Mapping[str, PeerState], key: str, moment: float) -> bool:
    """Whether a peer that is up was heard lately enough to be counted on."""
    return not is_large(peers) or moment - peers[key].heard < RECENT


def in_turn(peers: Mapping[str, PeerState], moment: float) -> list[str]:
    """The keys in the order in which they may take places: with traffic, alive, never asked, silent for long.

    Those that were never asked: one of each network after the other, for a crowd is dead together.
    """
    before = Counter(_network(peer) for peer in peers.values() if _has_place(peer, moment))

    def rank(key: str) -> tuple[int, float]:
        peer = peers[key]
        if peer.used is not None and moment - peer.used < LATELY:
            return 0, 0.0
        if peer.phase == UP:
            return 1, 0.0
        if _has_place(peer, moment):
            return 2, 0.0
        if peer.turns:
            return 4 + peer.turns, peer.probed or 0.0
        network = _network(peer)
        before[network] += 1
        return 3, before[network]

    return sorted(peers, key=rank)


def _has_place(peer: PeerState, moment: float) -> bool:
    """Whether WireGuard may still be trying to reach it after the last packet."""
    owes = peer.asked is not None or peer.silent
    return owes and peer.probed is not None and moment - peer.probed < PLACE


def _address(peer: PeerState) -> str:
    return peer.endpoint.rpartition(":")[0]


def _network(peer: PeerState) -> str:
    """The /24 or /48 that it is in."""
    address = _address(peer)
    return ":".join(address.split(":")[:3]) if ":" in address else address.rpartition(".")[0]
