"""Peers that change their key: watched under the listed one, while they speak under either. Pure.

The policy knows a peer by the key that the list names. While the list names two, what is read is translated here;
which of the two counts is decided by `mesh_sync.wireguard.key_rollover`, for mesh-sync and for us.
"""

from __future__ import annotations

from collections.abc import Mapping

from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.key_rollover import carrier
from mesh_watchdog.policy.events import Pairs, Seen


def pairs_of(desired: Desired | None) -> Pairs:
    """Who has two keys in an applied state."""
    peers = desired.peers if desired else ()
    return {peer.public_key: peer.next_public_key for peer in peers if peer.next_public_key}


def in_use(pairs: Pairs, seen: Mapping[str, Seen], moment: float) -> dict[str, str]:
    """For each of ``pairs``, the listed key and the one the peer speaks under (``moment`` in Unix seconds)."""
    shaken = {key: seen[key].handshake for pair in pairs.items() for key in pair if key in seen}
    return {old: carrier(old, new, shaken, moment) for old, new in pairs.items()}


def under_listed_keys(pairs: Pairs, seen: Mapping[str, Seen], moment: float) -> Mapping[str, Seen]:
    """A reading of the interface as the policy knows its peers."""
    if not pairs:
        return seen
    spoken = {old: seen[key] for old, key in in_use(pairs, seen, moment).items() if key in seen}
    return {**seen, **spoken}


def misplaced(pairs: Pairs, seen: Mapping[str, Seen], moment: float) -> bool:
    """Whether a peer's traffic goes to another key than the one it speaks under."""
    return any(key in seen and not seen[key].carries for key in in_use(pairs, seen, moment).values())
