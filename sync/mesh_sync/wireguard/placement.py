"""Which peer of the interface each allowed IP belongs to, where the list leaves that open. Pure.

It does in three cases: a peer with two keys (`key_rollover`), a network with two gateways (`gateways`), and a peer that
is reached through a relay (`relays`). All are decided by what the interface shows, so that mesh-sync and mesh-watchdog
never undo each other's work.
"""

from __future__ import annotations

from mesh_sync.wireguard import gateways, key_rollover, relays
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.live import Live


def placed(desired: Desired, live: Live | None, moment: float, applied: Desired | None) -> Desired:
    """The interface with a peer for every key, each allowed IP on the one that it belongs to now.

    ``live`` tells who spoke last, which gateway a network is at and what is relayed; without one the listed keys carry,
    the first gateways have their networks, and nothing is relayed. ``applied``: see `gateways.held`.
    """
    by_keys = key_rollover.placed(desired, live, moment)
    by_gateways = gateways.place(by_keys, gateways.held(desired, live, applied))
    return relays.place(by_gateways, relays.carried(desired, live))
