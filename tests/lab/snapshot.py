"""What a node's network is at a moment, without what traffic changes: to be compared with a later moment."""

from __future__ import annotations

from lab.mesh import dump
from lab.node import Node

CONF = "/etc/wireguard/wg0.conf"
COUNTERS = ("handshake", "rx", "tx")
SHOW = r"""
ip -oneline address show dev wg0 scope global | sed 's/ valid_lft.*//; s/^[0-9]*//'
ip -d link show dev wg0 | grep -o 'mtu [0-9]*'
for v in 4 6; do ip -$v rule; ip -$v route show table all dev wg0 | grep -v -e fe80 -e ff00 | sort; done
nft -s list ruleset
sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.all.src_valid_mark"""


def device(node: Node) -> dict[str, dict[str, str]]:
    """The interface as `wg` shows it, by public key; its own line is under ''."""
    return {key: {k: v for k, v in peer.items() if k not in COUNTERS} for key, peer in dump(node).items()}


def whole(node: Node) -> tuple[dict[str, dict[str, str]], str, bytes]:
    """Everything of the node's network that a list can change: the device, addresses, routes, rules, firewall,
    forwarding; and wg0.conf to the byte.
    """
    return device(node), node.run(["sh", "-c", SHOW]).stdout, conf_of(node)


def untouched(node: Node) -> tuple[object, ...]:
    """The same, and when wg0.conf was written: equal only if nothing was even put back."""
    return *whole(node), node.path(CONF).stat().st_mtime_ns


def conf_of(node: Node) -> bytes:
    """wg0.conf; nothing if it is not there."""
    file = node.path(CONF)
    return file.read_bytes() if file.exists() else b""
