"""Endpoints of silent peers, set after a second look, by one `wg` for all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.system.run import run
from mesh_watchdog.act.changing import Changed, under_lock
from mesh_watchdog.policy.events import Seen, SetEndpoint
from mesh_watchdog.policy.key_alias import in_use, pairs_of, under_listed_keys
from mesh_watchdog.sense.wg_counters import read


def set_endpoints(node: Node, actions: Iterable[SetEndpoint], decided: Mapping[str, Seen]) -> Changed:
    """Set the endpoints, except of peers that have left the applied state or the interface, or were heard since.

    ``decided``: what the decision was made from. `wg set` would create a peer that is not there (fact 7), so nothing
    else may write between reading and setting. The result names public keys.
    """
    return under_lock(node, lambda: _set(node, {action.key: action for action in actions}, decided))


def _set(node: Node, actions: Mapping[str, SetEndpoint], decided: Mapping[str, Seen]) -> Changed:
    desired = states.load(node.state_file).applied.desired
    listed = {peer.public_key for peer in desired.peers} if desired else set[str]()
    found, pairs = read(node.interface) or {}, pairs_of(desired)
    keys = in_use(pairs, found, time.time())
    live = under_listed_keys(pairs, found, time.time())
    here = {key for key in actions if key in listed and key in live and key in decided}
    alive = {key for key in here if _was_heard(decided[key], live[key])}
    due = sorted(here - alive)
    if due:
        words = [word for key in due for word in ("peer", keys.get(key, key), "endpoint", actions[key].endpoint)]
        run(["wg", "set", node.interface, *words])
    return Changed(frozenset(due), frozenset(alive))


def _was_heard(before: Seen, after: Seen) -> bool:
    return (before.rx, before.handshake) != (after.rx, after.handshake)
