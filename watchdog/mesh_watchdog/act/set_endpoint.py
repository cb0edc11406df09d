"""What is done to the interface: under mesh-sync's lock, after a second look, by one `wg` for all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from attrs import field, frozen

from mesh_sync.errors import Locked, MeshSyncError
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.system.lock import locked
from mesh_sync.system.run import run
from mesh_watchdog.policy.events import Seen, SetEndpoint
from mesh_watchdog.policy.key_alias import in_use, pairs_of, under_listed_keys
from mesh_watchdog.sense.wg_counters import read

LOCK_WAIT = 2.0
"""Seconds; a search cannot wait longer, and the next decision tries again."""


@frozen
class EndpointsSet:
    """``done``: the keys whose endpoint was set. ``alive``: those that were heard in between, and left alone."""

    done: frozenset[str] = field(factory=frozenset)
    alive: frozenset[str] = field(factory=frozenset)
    problem: str = ""


def set_endpoints(node: Node, actions: Iterable[SetEndpoint], decided: Mapping[str, Seen]) -> EndpointsSet:
    """Set the endpoints, except of peers that have left the applied state or the interface, or were heard since.

    ``decided``: what the decision was made from. Never raises; `wg set` would create a peer that is not there
    (fact 7), so nothing else may write between reading and setting.
    """
    try:
        with locked(node.lock_file, LOCK_WAIT):
            return _set(node, {action.key: action for action in actions}, decided)
    except Locked:
        return EndpointsSet(problem="the interface is being changed by mesh-sync")
    except MeshSyncError as error:
        return EndpointsSet(problem=error.message)


def _set(node: Node, actions: Mapping[str, SetEndpoint], decided: Mapping[str, Seen]) -> EndpointsSet:
    desired = states.load(node.state_file).applied.desired
    listed = {peer.public_key for peer in desired.peers} if desired else set[str]()
    reading = read(node.interface)
    pairs = pairs_of(desired)
    keys = in_use(pairs, reading.peers or {}, time.time())
    live = under_listed_keys(pairs, reading.peers or {}, time.time())
    here = {key for key in actions if key in listed and key in live and key in decided}
    alive = {key for key in here if _was_heard(decided[key], live[key])}
    due = sorted(here - alive)
    if due:
        words = [word for key in due for word in ("peer", keys.get(key, key), "endpoint", actions[key].endpoint)]
        run(["wg", "set", node.interface, *words])
    return EndpointsSet(frozenset(due), frozenset(alive), reading.problem)


def _was_heard(before: Seen, after: Seen) -> bool:
    return (before.rx, before.handshake) != (after.rx, after.handshake)
