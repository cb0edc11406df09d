"""What is done to the interface: under mesh-sync's lock, after a second look, by one `wg` for all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from attrs import field, frozen

from mesh_sync.errors import CommandError, Locked, MeshSyncError
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.system.lock import locked
from mesh_sync.system.run import run
from mesh_sync.wireguard import wg
from mesh_sync.wireguard.key_rollover import placed
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.syncconf import allowed_ips_text
from mesh_watchdog.policy.events import Point, Seen
from mesh_watchdog.policy.key_alias import in_use, pairs_of, under_listed_keys
from mesh_watchdog.sense.wg_counters import read

LOCK_WAIT = 2.0
"""Seconds; a hunt cannot wait longer, and the next decision tries again."""


@frozen
class Pointed:
    """``done``: the keys whose endpoint was set. ``alive``: those that were heard in between, and left alone."""

    done: frozenset[str] = field(factory=frozenset)
    alive: frozenset[str] = field(factory=frozenset)
    problem: str = ""


@frozen
class Promoted:
    """``done``: the names of the peers whose allowed IPs went to the key they speak under."""

    done: frozenset[str] = field(factory=frozenset)
    problem: str = ""


def point(node: Node, points: Iterable[Point], decided: Mapping[str, Seen]) -> Pointed:
    """Set the endpoints, except of peers that have left the applied state or the interface, or were heard since.

    ``decided``: what the decision was made from. Never raises; `wg set` would create a peer that is not there
    (fact 7), so nobody else may write between the look and the deed.
    """
    try:
        with locked(node.lock_file, LOCK_WAIT):
            return _point(node, {point.key: point for point in points}, decided)
    except Locked:
        return Pointed(problem="the interface is being changed by mesh-sync")
    except CommandError as error:
        return Pointed(problem=error.message)
    except MeshSyncError as error:
        return Pointed(problem=error.message)


def _point(node: Node, points: Mapping[str, Point], decided: Mapping[str, Seen]) -> Pointed:
    desired = states.load(node.state_file).desired
    listed = {peer.public_key for peer in desired.peers} if desired else set[str]()
    reading = read(node.interface)
    pairs = pairs_of(desired)
    keys = in_use(pairs, reading.peers or {}, time.time())
    live = under_listed_keys(pairs, reading.peers or {}, time.time())
    here = {key for key in points if key in listed and key in live and key in decided}
    alive = {key for key in here if _was_heard(decided[key], live[key])}
    due = sorted(here - alive)
    if due:
        words = [word for key in due for word in ("peer", keys.get(key, key), "endpoint", points[key].endpoint)]
        run(["wg", "set", node.interface, *words])
    return Pointed(frozenset(due), frozenset(alive), reading.problem)


def promote(node: Node) -> Promoted:
    """Give each peer that has two keys its allowed IPs under the one it speaks under. Never raises.

    Only where the interface has both keys and the applied state still names them: nobody is ever created.
    """
    try:
        with locked(node.lock_file, LOCK_WAIT):
            return _promote(node)
    except Locked:
        return Promoted(problem="the interface is being changed by mesh-sync")
    except MeshSyncError as error:
        return Promoted(problem=error.message)


def _promote(node: Node) -> Promoted:
    desired = states.load(node.state_file).desired
    pairs = pairs_of(desired)
    if desired is None or not pairs:
        return Promoted()
    live = Live(**wg.dump(node.interface))
    both = {key for pair in pairs.items() if live.peers.keys() >= set(pair) for key in pair}
    peers = (peer for peer in placed(desired, live, time.time()).peers if peer.allowed_ips and peer.public_key in both)
    due = [peer for peer in peers if live.peers[peer.public_key].allowed_ips != peer.allowed_ips]
    if due:
        wg.addconf(node.interface, allowed_ips_text(due))
    return Promoted(frozenset(peer.name for peer in due))


def _was_heard(before: Seen, after: Seen) -> bool:
    return (before.rx, before.handshake) != (after.rx, after.handshake)
