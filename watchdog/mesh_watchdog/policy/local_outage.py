"""Them or us: when most sites fall silent together, nothing is wrong with the peers (rule R4)."""

from __future__ import annotations

from collections.abc import Mapping

from mesh_watchdog.policy.constants import (
    HEARD_LATELY,
    OUTAGE_LEAST,
    OUTAGE_PATIENCE,
    OUTAGE_SHARE,
    RX_HOLDS,
    WITNESSES,
)
from mesh_watchdog.policy.events import Surroundings
from mesh_watchdog.policy.peer import UP, PeerState


def is_in_doubt(peer: PeerState, moment: float) -> bool:
    """Whether this peer, alive until lately, owes an answer for longer than it ever takes."""
    if not peer.lived or moment - peer.heard >= OUTAGE_PATIENCE:
        return False
    if peer.silent or (peer.quick and peer.misses > 0):
        return True
    return peer.asked is not None and moment - peer.asked >= peer.suspect_after


def is_local_outage(peers: Mapping[str, PeerState], surroundings: Surroundings, moment: float) -> bool:
    """There is no way out, or most sites from which we heard lately are silent and hardly any is not.

    Peers that were not asked prove nothing: `witnesses` names some to ask.
    """
    if not surroundings.versions:
        return True
    silent = {_site(peer) for peer in peers.values() if is_in_doubt(peer, moment)}
    if len(silent) < OUTAGE_LEAST:
        return False
    heard = {_site(peer) for peer in peers.values() if peer.lived and moment - peer.heard < HEARD_LATELY}
    return len(silent) >= OUTAGE_SHARE * len(silent | heard)


def witnesses(peers: Mapping[str, PeerState], moment: float) -> tuple[str, ...]:
    """Given that a peer owes an answer, return the keys of idle peers at other sites to be asked as well."""
    doubtful = {_site(peer) for peer in peers.values() if is_in_doubt(peer, moment)}
    if not doubtful:
        return ()
    asked = dict[str, str]()
    for key, peer in peers.items():
        idle = peer.phase == UP and peer.asked is None and peer.prompt and moment - peer.heard > RX_HOLDS
        if idle and _site(peer) not in doubtful:
            asked.setdefault(_site(peer), key)
        if len(asked) == WITNESSES:
            break
    return tuple(asked.values())


def _site(peer: PeerState) -> str:
    """The address at which it was last heard: peers behind one NAT fall silent together, and that is not us."""
    return peer.good.rpartition(":")[0]
