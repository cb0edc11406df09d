"""Moves allowed IPs from one peer of the interface to another: to another key, to a relay and back, to
another gateway.

All moves are made by one command, from what the applied state and the interface say at that moment. No peer is ever
created, as `wg set` would do for a key that the interface does not have (fact 7).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Set

from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.desired import on_this_machine
from mesh_sync.system.run import run
from mesh_sync.wireguard import gateways, relays, wg
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.families import possible
from mesh_sync.wireguard.key_rollover import pairs_of
from mesh_sync.wireguard.key_rollover import placed as by_keys
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.placement import placed
from mesh_sync.wireguard.syncconf import allowed_ips_text
from mesh_watchdog.under_lock import Changed, under_lock


@under_lock
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
    peers = (
        peer
        for peer in placed(desired, live, time.time(), desired).peers
        if peer.allowed_ips and peer.public_key in both
    )
    due = [peer for peer in peers if live.peers[peer.public_key].allowed_ips != peer.allowed_ips]
    if due:
        wg.addconf(node.interface, allowed_ips_text(due))
    return Changed(frozenset(peer.name for peer in due))


@under_lock
def carry(node: Node, moves: Mapping[str, str]) -> Changed:
    """Move the allowed IPs of peers to relays, or back to themselves (""). The result names the listed keys.

    Moves that the applied state does not allow, and peers that the interface does not have, are left out.
    """
    desired = states.load(node.state_file).applied.desired
    if desired is None:
        return Changed()
    desired = possible(on_this_machine(desired, node), node.interface)
    live = Live(**wg.dump(node.interface))
    names = {peer.public_key: peer.name for peer in desired.peers if live.peers.keys() & set(peer.keys)}
    wanted, holders = relays.carried(desired, live), gateways.held(desired, live, desired)
    due = frozenset(key for key, relay in moves.items() if _is_possible(desired, names, key, relay))
    for key in due:
        wanted.pop(names[key], None)
        if moves[key]:
            wanted[names[key]] = names[moves[key]]
    _set(node, desired, live, holders, wanted, {names[key] for key in due})
    return Changed(due)


@under_lock
def lead(node: Node, moves: Mapping[str, str]) -> Changed:
    """Move networks to others of their gateways; ``moves``: by network, the listed key. The result names networks.

    Moves that the applied state does not allow, and to peers that the interface does not have, are left out.
    """
    desired = states.load(node.state_file).applied.desired
    if desired is None:
        return Changed()
    desired = possible(on_this_machine(desired, node), node.interface)
    live, order = Live(**wg.dump(node.interface)), dict(desired.gateways)
    names = {peer.public_key: peer.name for peer in desired.peers if live.peers.keys() & set(peer.keys)}
    due = {network: names[key] for network, key in moves.items() if names.get(key) in order.get(network, ())}
    holders = gateways.held(desired, live, desired) | due
    _set(node, desired, live, holders, relays.carried(desired, live), frozenset())
    return Changed(frozenset(due))


def _set(
    node: Node, desired: Desired, live: Live, holders: Mapping[str, str], carriers: Mapping[str, str], moved: Set[str]
) -> None:
    """Bring allowed IPs to where they belong by one command. ``moved``: the peers whose keepalive changes with that."""
    by_gateways = gateways.place(by_keys(desired, live, time.time()), holders)
    peers = relays.place(by_gateways, carriers).peers
    here = [(peer, live.peers[peer.public_key]) for peer in peers if peer.public_key in live.peers]
    if words := [word for peer, found in here for word in _words(peer, found, moved)]:
        run(["wg", "set", node.interface, *words])


def _is_possible(desired: Desired, names: Mapping[str, str], key: str, relay: str) -> bool:
    if key not in names or (relay and names.get(relay) not in desired.relays):
        return False
    return any(relays.may_be_carried(desired, peer) for peer in desired.peers if peer.public_key == key)


def _words(peer: DesiredPeer, found: LivePeer, moved: Set[str]) -> list[str]:
    """The words of `wg set` for a peer; none if it only loses allowed IPs, which happens when another gets them."""
    words = []
    if peer.name in moved and peer.keepalive != found.keepalive:
        words += ["persistent-keepalive", str(peer.keepalive)]
    if peer.allowed_ips - found.allowed_ips:
        words += ["allowed-ips", ",".join(sorted(peer.allowed_ips))]
    return ["peer", peer.public_key, *words] if words else []


@under_lock
def nudge(node: Node, keys: Set[str]) -> Changed:
    """Have WireGuard send an empty packet to peers: their keepalive is switched on, again or for a moment (fact 15)."""
    desired = states.load(node.state_file).applied.desired
    found = Live(**wg.dump(node.interface)).peers
    listed = {each for peer in (desired.peers if desired else ()) if peer.public_key in keys for each in peer.keys}
    due = sorted(key for key in listed & found.keys() if found[key].endpoint)
    words = [
        word
        for key in due
        for seconds in ((0, found[key].keepalive) if found[key].keepalive else (relays.TRYING, 0))
        for word in ("peer", key, "persistent-keepalive", str(seconds))
    ]
    if words:
        run(["wg", "set", node.interface, *words])
    return Changed(frozenset(due))
