"""Which peer of the interface each allowed IP belongs to, where the list leaves that open. Pure.

It does in two cases: a peer with two keys (`key_rollover`), and one that is reached through a relay (`relays`). Both
are decided by what the interface shows, so that mesh-sync and mesh-watchdog never undo each other's work.
"""

from __future__ import annotations

from mesh_sync.wireguard import key_rollover, relays
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.live import Live


def placed(desired: Desired, live: Live | None, moment: float) -> Desired:
    """The interface with a peer for every key, each allowed IP on the one that it belongs to now.

    ``live`` tells who spoke last and what is relayed; without one the listed keys carry, and nothing is relayed.
    """
    return relays.place(key_rollover.placed(desired, live, moment), relays.carried(desired, live))
