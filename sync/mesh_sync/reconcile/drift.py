"""What differs between the interface as it should be and as it is, wg0.conf included. Reads only."""

from __future__ import annotations

import time
from collections.abc import Iterable

from mesh_sync.node.config import Node
from mesh_sync.node.psk_counters import settled
from mesh_sync.node.state import State
from mesh_sync.reconcile import conf_drift
from mesh_sync.wireguard.desired import Desired, Owned
from mesh_sync.wireguard.key_rollover import placed
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.plan import Change, Context, plan


def difference(
    node: Node, desired: Desired, state: State, live: Live | None, moment: float | None = None
) -> tuple[Change, ...]:
    """What `apply` would change, and what became of wg0.conf. ``state`` says what is ours to take away."""
    moment = time.time() if moment is None else moment
    return difference_of(node, for_kernel(node, desired, live, moment), state, live, moment)


def difference_of(node: Node, kernel: Desired, state: State, live: Live | None, moment: float) -> tuple[Change, ...]:
    applied = state.applied
    context = Context(
        owned=owned(node, state, live),
        given=applied.given,
        names={key: peer.name for peer in applied.desired.peers for key in peer.keys} if applied.desired else {},
        moment=moment,
        remove_foreign=node.foreign_peers == "remove",
    )
    return (*plan(kernel, live, context), *conf_drift.drift(node, applied.conf))


def for_kernel(node: Node, desired: Desired, live: Live | None, moment: float) -> Desired:
    """What the kernel is to have: one peer for each key, and one preshared key for each peer."""
    return settled(node, placed(desired, live, moment), live, moment)


def touches(changes: Iterable[Change]) -> bool:
    """Whether any of these changes the interface, and not only what is written or said of it."""
    return any(change.acted and change.kind != "conf" for change in changes)


def owned(node: Node, state: State, live: Live | None) -> Owned:
    """What is ours on the interface. Without a memory: what our wg0.conf names, and every address and route."""
    if state != State() and not state.lost:
        return state.applied.owned
    text = conf_drift.read(node)
    if not state.lost and not conf_drift.is_ours(text):
        return Owned()
    live = live or Live()
    return Owned(conf_drift.public_keys(text), live.addresses, live.routes)
