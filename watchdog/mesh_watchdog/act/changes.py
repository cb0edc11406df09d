"""Every change that the watchdog makes to the interface: under mesh-sync's lock, and never raising."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec

from attrs import frozen

from mesh_sync.errors import Locked, MeshSyncError
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.system.lock import locked
from mesh_sync.system.run import run
from mesh_sync.wireguard import wg
from mesh_sync.wireguard.key_rollover import pairs_of, placed
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.syncconf import allowed_ips_text
from mesh_sync.wireguard.userspace import SOCKETS
from mesh_watchdog.policy.events import Seen, SetEndpoint
from mesh_watchdog.policy.state import in_use, under_listed_keys
from mesh_watchdog.sense.wg_counters import read

LOCK_WAIT = 2.0
"""Seconds; a search cannot wait longer, and the next decision tries again."""

P = ParamSpec("P")


@frozen
class Changed:
    """``done``: what was changed. ``alive``: the keys of peers that were heard in between, and left alone."""

    done: frozenset[str] = frozenset()
    alive: frozenset[str] = frozenset()
    problem: str = ""


def _under_lock(change: Callable[Concatenate[Node, P], Changed]) -> Callable[Concatenate[Node, P], Changed]:
    """Make the change while nothing else makes one. What goes wrong is the result's ``problem``."""

    @wraps(change)
    def safely(node: Node, /, *args: P.args, **kwargs: P.kwargs) -> Changed:
        try:
            with locked(node.lock_file, LOCK_WAIT):
                return change(node, *args, **kwargs)
        except Locked:
            return Changed(problem="the interface is being changed by mesh-sync")
        except (MeshSyncError, ValueError) as error:
            return Changed(problem=str(error))

    return safely


@_under_lock
def set_endpoints(node: Node, actions: Iterable[SetEndpoint], decided: Mapping[str, Seen]) -> Changed:
    """Set endpoints by one `wg`, except of peers that left the applied state or the interface, or were heard since.

    ``decided``: what the decision was made from. `wg set` would create a peer that is not there (fact 7), so nothing
    else may write between reading and setting. The result names public keys.
    """
    desired = states.load(node.state_file).applied.desired
    peers = desired.peers if desired else ()
    listed, pairs = {peer.public_key for peer in peers}, pairs_of(peers)
    found, moment = read(node.interface) or {}, time.time()
    spoken, live = in_use(pairs, found, moment), under_listed_keys(pairs, found, moment)
    known = listed & live.keys() & decided.keys()
    chosen = {action.key: action.endpoint for action in actions if action.key in known}
    alive = {key for key in chosen if _was_heard(decided[key], live[key])}
    due = sorted(chosen.keys() - alive)
    if due:
        words = [word for key in due for word in ("peer", spoken.get(key, key), "endpoint", chosen[key])]
        run(["wg", "set", node.interface, *words])
    return Changed(frozenset(due), frozenset(alive))


def _was_heard(before: Seen, after: Seen) -> bool:
    return (before.rx, before.handshake) != (after.rx, after.handshake)


@_under_lock
def promote(node: Node) -> Changed:
    """Give each peer that has two keys its allowed IPs under the one it speaks under. The result names peers.

    Only where the interface has both keys and the applied state still names them: no peer is ever created.
    """
    desired = states.load(node.state_file).applied.desired
    pairs = pairs_of(desired.peers) if desired else {}
    if desired is None or not pairs:
        return Changed()
    live = Live(**wg.dump(node.interface))
    both = {key for pair in pairs.items() if live.peers.keys() >= set(pair) for key in pair}
    peers = (peer for peer in placed(desired, live, time.time()).peers if peer.allowed_ips and peer.public_key in both)
    due = [peer for peer in peers if live.peers[peer.public_key].allowed_ips != peer.allowed_ips]
    if due:
        wg.addconf(node.interface, allowed_ips_text(due))
    return Changed(frozenset(peer.name for peer in due))


def forget_source(node: Node) -> str:
    """Make a userspace WireGuard choose its source addresses again. Return what went wrong, if anything did.

    The kernel's own looks whether its source address is still there. wireguard-go does not as long as the interface
    stays the same (device/sticky_linux.go), and no answer ever comes back. Told its listening port again, it forgets
    them all; no endpoint is touched, and no session is lost.
    """
    if not (SOCKETS / f"{node.interface}.sock").exists():  # the kernel's
        return ""
    problem = _tell_port_again(node).problem
    return f"{node.interface} may go on sending from an address that is gone: {problem}" if problem else ""


@_under_lock
def _tell_port_again(node: Node) -> Changed:
    port = run(["wg", "show", node.interface, "listen-port"]).strip()
    run(["wg", "set", node.interface, "listen-port", port])
    return Changed()
