"""Them or us: when most sites fall silent together, nothing is wrong with the peers (rule R4)."""

from __future__ import annotations

from collections.abc import Mapping

from mesh_watchdog.policy.crowd import is_there
from mesh_watchdog.policy.observations import Surroundings
from mesh_watchdog.policy.peer import MISS, RX_HOLDS, UP, PeerState

OUTAGE_SHARE = 0.75
"""If this share of the sites we hear from falls silent together, it is us (R4) …"""
OUTAGE_LEAST = 3
"""… and there are at least so many of them. A site is an address: peers behind one NAT are one."""
OUTAGE_PATIENCE = 60.0
"""Seconds after an unanswered question for which the fault is believed to be ours."""
WITNESSES = 8
"""So many idle peers are asked when one misses an answer: is it them or us?"""
WITNESS_TIME = MISS
"""Seconds that they have for an answer: no quick peer is suspected meanwhile."""
HEARD_LATELY = 5.0
"""A peer that was heard within this time shows that it is not us."""


def is_in_doubt(peer: PeerState, moment: float) -> bool:
    """Whether this peer, alive until lately, owes an answer for longer than it ever takes.

    One that is suspect is in no doubt: it was found silent while this machine was not cut off.
    """
    if not peer.lived or peer.silent or peer.asked is None or moment - peer.asked >= OUTAGE_PATIENCE:
        return False
    missed = peer.probed is not None and moment - peer.probed >= peer.miss_after
    return (peer.quick and (missed or peer.misses > 0)) or moment - peer.asked >= peer.suspect_after


def is_local_outage(peers: Mapping[str, PeerState], surroundings: Surroundings, moment: float) -> bool:
    """There is no way out, or most sites from which we heard lately are silent and hardly any is not.

    A site of which one machine is heard is not silent. Peers that were not asked prove nothing: `witnesses` names some
    to ask.
    """
    if not surroundings.versions:
        return True
    doubtful = {key for key, peer in peers.items() if peer.asked is not None and is_in_doubt(peer, moment)}
    if len(doubtful) < OUTAGE_LEAST:
        return False
    heard = {
        _site(peer)
        for key, peer in peers.items()
        if moment - peer.heard < HEARD_LATELY and peer.lived and key not in doubtful
    }
    silent = {_site(peers[key]) for key in doubtful} - heard
    return _are_most(len(silent), len(heard))


def _are_most(silent: int, heard: int) -> bool:
    """Whether so many silent sites, beside so many that are heard, mean that it is us."""
    return silent >= max(OUTAGE_LEAST, OUTAGE_SHARE * (silent + heard))


def is_open(peers: Mapping[str, PeerState], moment: float) -> bool:
    """Whether it would be a local outage if all that were asked, and have not answered, turned out to be silent."""
    asked = {_site(peer) for peer in peers.values() if peer.lived and not peer.silent and peer.asked is not None}
    answered = (peer for peer in peers.values() if peer.lived and peer.asked is None)
    heard = {_site(peer) for peer in answered if moment - peer.heard < HEARD_LATELY}
    return _are_most(len(asked - heard), len(heard))


def witnesses(peers: Mapping[str, PeerState], moment: float) -> tuple[str, ...]:
    """Given that a peer owes an answer, return the keys of idle peers at other sites to be asked as well.

    None where it would be no local outage even if all these were silent: then nothing waits for them.
    """
    doubtful = {_site(peer) for peer in peers.values() if peer.asked is not None and is_in_doubt(peer, moment)}
    if not doubtful:
        return ()
    asked = dict[str, str]()
    for key, peer in peers.items():
        idle = peer.phase == UP and peer.asked is None and peer.prompt is not False and moment - peer.heard > RX_HOLDS
        if idle and _site(peer) not in doubtful and is_there(peers, key, moment):
            asked.setdefault(_site(peer), key)
        if len(asked) == WITNESSES:
            break
    lately = {_site(peer) for peer in peers.values() if peer.lived and moment - peer.heard < HEARD_LATELY}
    heard = lately - doubtful - asked.keys()
    return tuple(asked.values()) if _are_most(len(doubtful) + len(asked), len(heard)) else ()


def _site(peer: PeerState) -> str:
    """The address at which it was last heard: peers behind one NAT fall silent together, and that is not us."""
    return peer.good.rpartition(":")[0]
