"""What the tests of commits on trial share."""

from __future__ import annotations

from typing import Any

from lab.mesh import Mesh, dump
from lab.node import Node
from mesh_sync import keys

DEADLINE = 12
"""Seconds: longer than a peer may take to answer, shorter than people's patience with tests."""
SHORT = {"deadline": DEADLINE}
CONF = "/etc/wireguard/wg0.conf"


def stranger(mesh: Mesh, name: str, number: int, **keys_of_peer: Any) -> str:
    """List a peer that no machine stands behind; return its key."""
    key = keys.public_key(keys.generate())
    wanted = {"addresses": [f"10.0.0.{number}"], "endpoint": f"203.0.113.{number}:51820", **keys_of_peer}
    mesh.set(name, public_key=key, **wanted)
    return key


def ping(node: Node, address: str) -> None:
    """Until the first answer."""
    node.run(["ping", "-q", "-i", "0.2", "-c", "1", "-w", "15", address])


def key_of(node: Node) -> str:
    return dump(node)[""]["public_key"]


def whole(node: Node) -> tuple[object, ...]:
    """Everything of the node's network that a list can change: the device without its counters, addresses, routes,
    rules, firewall, forwarding; and wg0.conf to the byte.
    """
    counters = ("handshake", "rx", "tx")
    peers = {key: {k: v for k, v in peer.items() if k not in counters} for key, peer in dump(node).items()}
    script = """ip -oneline address show dev wg0 | sed 's/ valid_lft.*//'
        ip -d link show dev wg0 | grep -o 'mtu [0-9]*'
        for v in 4 6; do ip -$v rule; ip -$v route show table all dev wg0 | sort; done
        nft -s list ruleset; sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.all.src_valid_mark"""
    return peers, node.run(["sh", "-c", script]).stdout, conf_of(node)


def conf_of(node: Node) -> bytes:
    """wg0.conf; nothing if it is not there."""
    file = node.path(CONF)
    return file.read_bytes() if file.exists() else b""
