"""What differs between the interface as it should be and as it is, wg0.conf included. Reads only."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from attrs import evolve

from mesh_sync.node.config import Node
from mesh_sync.node.interface_mtu import interface_mtu
from mesh_sync.node.psk_counters import settled
from mesh_sync.node.state import State, digest
from mesh_sync.reconcile import mesh_names
from mesh_sync.wireguard.desired import CONF_MARK, Desired, Owned
from mesh_sync.wireguard.families import possible
from mesh_sync.wireguard.forwarding import live_sysctls
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.placement import placed
from mesh_sync.wireguard.plan import Change, Context, plan


def difference(
    node: Node, desired: Desired, state: State, live: Live | None, moment: float | None = None
) -> tuple[Change, ...]:
    """What `apply` would change, and what became of wg0.conf. ``state`` says what is ours to take away."""
    moment = time.time() if moment is None else moment
    kernel = for_kernel(node, desired, live, moment, state.applied.desired)
    return difference_of(node, desired, kernel, state, live, moment)


def difference_of(
    node: Node, desired: Desired, kernel: Desired, state: State, live: Live | None, moment: float
) -> tuple[Change, ...]:
    """The same; ``kernel``: what of ``desired`` the kernel is to have."""
    applied = state.applied
    context = Context(
        owned=owned(node, state, live),
        given=applied.given,
        names={key: peer.name for peer in applied.desired.peers for key in peer.keys} if applied.desired else {},
        moment=moment,
        remove_foreign=node.foreign_peers == "remove",
    )
    if live is None:  # what is on without us is no change
        kernel = evolve(kernel, sysctls=kernel.sysctls - live_sysctls(kernel.sysctls))
    return (*plan(kernel, live, context), *conf_drift(node, applied.conf), *mesh_names.drift(node, desired))


def for_kernel(node: Node, desired: Desired, live: Live | None, moment: float, applied: Desired | None) -> Desired:
    """What the kernel is to have: what this machine can have of the list, an MTU, one peer for each key, and one
    preshared key for each peer. ``applied``: what was applied last.
    """
    desired = possible(desired, node.interface)
    fixed = evolve(desired, mtu=interface_mtu(node, desired, live))
    return placed(settled(node, fixed, live, moment), live, moment, applied)


def touches(changes: Iterable[Change]) -> bool:
    """Whether any of these changes the interface, and not only what is written or said of it."""
    return any(change.acted and change.kind not in ("conf", mesh_names.KIND) for change in changes)


def owned(node: Node, state: State, live: Live | None) -> Owned:
    """What is ours on the interface. Without a memory: what our wg0.conf names, and every address and route."""
    if state != State() and not state.lost:
        return state.applied.owned
    text = read_conf(node)
    if not state.lost and not is_ours(text):
        return Owned()
    live = live or Live()
    return Owned(public_keys(text), live.addresses, live.routes, live.exit_routes)


def conf_drift(node: Node, written: str) -> Iterator[Change]:
    """What became of the wg0.conf that was written last; ``written``: its digest, empty when none was."""
    name, text = node.conf_file.name, read_conf(node)
    if not written or (digest(text) == written and not is_open(node)):
        return
    if not text:
        what = "was removed: written again"
    elif digest(text) != written:
        what = "was changed by hand: written again"
    else:
        what = "was readable by other users: mode reset to 0600"
    yield Change("conf", f"{name} {what}")


def read_conf(node: Node) -> str:
    """Its text; empty when it is not there."""
    try:
        return node.conf_file.read_text(errors="replace")
    except OSError:
        return ""


def is_ours(text: str) -> bool:
    """Whether mesh-sync has written this wg0.conf."""
    return CONF_MARK in text.partition("\n")[0]


def is_open(node: Node) -> bool:
    """Whether other users can read it."""
    return bool(node.conf_file.stat().st_mode & 0o077)


def public_keys(conf: str) -> frozenset[str]:
    """The peers a wg-quick text names."""
    lines = (line.partition("=") for line in conf.splitlines())
    return frozenset(value.strip() for key, _, value in lines if key.strip().lower() == "publickey")
