"""Everything the watchdog believes; and peers that change their key, under the one by which it knows them. Pure.

While the list names two keys of a peer, what is read is translated here; which of them counts is decided by
`mesh_sync.wireguard.key_rollover`, for mesh-sync and for the watchdog.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from mesh_sync.wireguard.key_rollover import carriers
from mesh_sync.wireguard.longest_prefix import LongestPrefix
from mesh_sync.wireguard.underlay import Tunnel
from mesh_watchdog.policy.actions import Action
from mesh_watchdog.policy.anchors import AnchorsOf
from mesh_watchdog.policy.crowd import Crowd
from mesh_watchdog.policy.dns_names import NameState
from mesh_watchdog.policy.led import Leading
from mesh_watchdog.policy.news import News
from mesh_watchdog.policy.observations import Here, Pairs, Routed, Seen, Surroundings
from mesh_watchdog.policy.peer import PeerState
from mesh_watchdog.policy.relayed import Relaying
from mesh_watchdog.policy.reports import Rendezvous
from mesh_watchdog.policy.rounds import Birthday


@frozen(kw_only=True)
class State:
    """Moments are seconds on the monotonic clock.

    ``tunnel``, ``carriers``, ``mark``, ``past_exit``, ``pairs``, ``here``: as applied; ``paired``: since when there
    are pairs; ``routed``: what the kernel said of the ways out, at ``routed_at``; ``ways_asked``: when it was asked
    again, None when it has answered; ``probe_all``: when all peers are to be probed (R5), ``probed_all``: when they
    last were; ``looked``: the last reading of the interface; ``cut_off``: this machine is (R4); ``witnessed``: when
    witnesses were last asked; ``measured``: the reading from which traffic is measured, and when that was;
    ``flowed``: when traffic last flowed; ``mapped``: the endpoint that our router forwards to us, empty when it
    does not; ``mapped_how``: by which protocol, or why it does not; ``mapped_at``: since when; ``crowd``: how many
    packets may be sent; ``rendezvous``: what other peers say of where one is; ``birthday``: rounds with peers
    behind another kind of NAT; ``news``: of commits; ``anchors``: of each node.
    """

    peers: Mapping[str, PeerState] = field(factory=dict)
    names: Mapping[str, NameState] = field(factory=dict)
    tunnel: Tunnel = field(default=Tunnel("wg0"), eq=False)
    carriers: LongestPrefix[str] = field(factory=LongestPrefix, eq=False)
    mark: int = 0
    past_exit: bool = True
    pairs: Pairs = field(factory=dict)
    here: Here = Here()
    paired: float | None = None
    surroundings: Surroundings = Surroundings(frozenset(), frozenset())
    mapped: str = ""
    mapped_how: str = ""
    mapped_at: float = 0.0
    routed: Routed = Routed(frozenset())
    routed_at: float = float("-inf")
    ways_asked: float | None = None
    probe_all: tuple[float, ...] = ()
    probed_all: float | None = None
    looked: float | None = None
    measured: tuple[float, Mapping[str, Seen]] = (0.0, {})
    flowed: float = float("-inf")
    interface: bool = False
    cut_off: bool = False
    witnessed: float = float("-inf")
    relaying: Relaying = Relaying()
    leading: Leading = Leading()
    crowd: Crowd = Crowd()
    anchors: AnchorsOf = field(factory=AnchorsOf, eq=False)
    rendezvous: Rendezvous = Rendezvous()
    birthday: Birthday = Birthday()
    news: News = News()


Decision = tuple[State, tuple[Action, ...]]
"""What to believe, and what to do."""


def in_use(pairs: Pairs, seen: Mapping[str, Seen], moment: float) -> dict[str, str]:
    """For each of ``pairs``, the listed key and the one the peer speaks under (``moment`` in Unix seconds)."""
    return carriers(pairs, {key: one.handshake for key, one in seen.items()} if pairs else {}, moment)


def under_listed_keys(pairs: Pairs, seen: Mapping[str, Seen], moment: float) -> Mapping[str, Seen]:
    """A reading of the interface as the policy knows its peers."""
    return {**seen, **{old: seen[key] for old, key in in_use(pairs, seen, moment).items() if key in seen}}


def misplaced(pairs: Pairs, seen: Mapping[str, Seen], moment: float) -> bool:
    """Whether a peer's traffic goes to another key than the one it speaks under."""
    return any(key in seen and not seen[key].carries for key in in_use(pairs, seen, moment).values())
