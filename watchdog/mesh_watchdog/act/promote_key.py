"""A peer that has changed its key: its allowed IPs go to the new one."""

from __future__ import annotations

import time

from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.wireguard import wg
from mesh_sync.wireguard.key_rollover import placed
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.syncconf import allowed_ips_text
from mesh_watchdog.act.changing import Changed, under_lock
from mesh_watchdog.policy.key_alias import pairs_of


def promote(node: Node) -> Changed:
    """Give each peer that has two keys its allowed IPs under the one it speaks under. The result names peers.

    Only where the interface has both keys and the applied state still names them: no peer is ever created.
    """
    return under_lock(node, lambda: _promote(node))


def _promote(node: Node) -> Changed:
    desired = states.load(node.state_file).applied.desired
    pairs = pairs_of(desired)
    if desired is None or not pairs:
        return Changed()
    live = Live(**wg.dump(node.interface))
    both = {key for pair in pairs.items() if live.peers.keys() >= set(pair) for key in pair}
    peers = (peer for peer in placed(desired, live, time.time()).peers if peer.allowed_ips and peer.public_key in both)
    due = [peer for peer in peers if live.peers[peer.public_key].allowed_ips != peer.allowed_ips]
    if due:
        wg.addconf(node.interface, allowed_ips_text(due))
    return Changed(frozenset(peer.name for peer in due))
