"""What the tests of commits on trial share."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab import Lab
from lab.mesh import Mesh, dump, stranger
from lab.node import Node
from lab.ping import first_answer

DEADLINE = 12
"""Seconds: longer than a peer may take to answer, shorter than people's patience with tests."""
SHORT = {"deadline": DEADLINE}
CONF = "/etc/wireguard/wg0.conf"


def talking(lab: Lab, confirm: dict[str, int]) -> Mesh:
    """a and b, up and talking; nobody stands behind c, whom they know. Node a is a gateway, and confirms like this."""
    mesh = Mesh(lab)
    a, b = mesh.node("a", 11), mesh.node("b", 12)
    stranger(mesh, "c", 13)
    mesh.configure(a, confirm=confirm, gateway={"masquerade": "eth0"})
    mesh.push("good")
    mesh.now()
    first_answer(b, "10.0.0.11")
    return mesh


def whole(node: Node) -> tuple[object, ...]:
    """Everything of the node's network that a list can change: the device without its counters, addresses, routes,
    rules, firewall, forwarding; and wg0.conf to the byte.
    """
    counters = ("handshake", "rx", "tx")
    peers = {key: {k: v for k, v in peer.items() if k not in counters} for key, peer in dump(node).items()}
    script = """ip -oneline address show dev wg0 scope global | sed 's/ valid_lft.*//; s/^[0-9]*//'
        ip -d link show dev wg0 | grep -o 'mtu [0-9]*'
        for v in 4 6; do ip -$v rule; ip -$v route show table all dev wg0 | grep -v -e fe80 -e ff00 | sort; done
        nft -s list ruleset; sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.all.src_valid_mark"""
    return peers, node.run(["sh", "-c", script]).stdout, conf_of(node)


def conf_of(node: Node) -> bytes:
    """wg0.conf; nothing if it is not there."""
    file = node.path(CONF)
    return file.read_bytes() if file.exists() else b""


class Commits:
    """New commits of one tree or another, made on the git host itself, which is quicker than pushing them."""

    def __init__(self, bare: Path) -> None:
        self.git = ["git", "--git-dir", str(bare), "-c", "user.name=operator", "-c", "user.email=o@example.org"]

    def publish(self, commit: str) -> str:
        """Let the branch end in a new commit with the files of an earlier one; return it."""
        made = self._git("commit-tree", f"{commit}^{{tree}}", "-p", "refs/heads/main", "-m", "again")
        self._git("update-ref", "refs/heads/main", made)
        return made

    def _git(self, *words: str) -> str:
        done = subprocess.run([*self.git, *words], capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()
