"""Them or us: when most places fall silent together, nothing is wrong with the peers (rule R4)."""

from __future__ import annotations

from collections.abc import Mapping

from mesh_watchdog.policy.constants import JURY, OURS_LEAST, OURS_PATIENCE, OURS_SHARE, RX_HOLDS, WITNESS
from mesh_watchdog.policy.events import Surroundings
from mesh_watchdog.policy.peer import UP, PeerState


def is_in_doubt(peer: PeerState, now: float) -> bool:
    """Whether this peer, alive until lately, owes an answer for longer than it ever takes."""
    if not peer.lived or now - peer.heard >= OURS_PATIENCE:
        return False
    if peer.silent or (peer.quick and peer.misses > 0):
        return True
    return peer.asked is not None and now - peer.asked >= peer.suspect_after


def is_it_us(peers: Mapping[str, PeerState], surroundings: Surroundings, now: float) -> bool:
    """No way out, or most places from which we heard lately are silent and hardly any is not.

    Peers that were not asked say nothing: `jury` asks some of them.
    """
    if not surroundings.versions:
        return True
    silent = {_place(peer) for peer in peers.values() if is_in_doubt(peer, now)}
    if len(silent) < OURS_LEAST:
        return False
    heard = {_place(peer) for peer in peers.values() if peer.lived and now - peer.heard < WITNESS}
    return len(silent) >= OURS_SHARE * len(silent | heard)


def jury(peers: Mapping[str, PeerState], now: float) -> tuple[str, ...]:
    """Given that somebody owes an answer, return the keys of idle peers at other places to be asked as well."""
    doubtful = {_place(peer) for peer in peers.values() if is_in_doubt(peer, now)}
    if not doubtful:
        return ()
    asked = dict[str, str]()
    for key, peer in peers.items():
        idle = peer.phase == UP and peer.asked is None and peer.prompt and now - peer.heard > RX_HOLDS
        if idle and _place(peer) not in doubtful:
            asked.setdefault(_place(peer), key)
        if len(asked) == JURY:
            break
    return tuple(asked.values())


def _place(peer: PeerState) -> str:
    """The address at which it was last heard: peers behind one NAT fall silent together, and that is not us."""
    return peer.good.rpartition(":")[0]
