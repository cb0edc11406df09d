"""A mesh under test: its repository on the operator's machine, and nodes that have joined it.

Nodes are enlisted by writing their files, which is quicker than `mesh-sync join`; the tests of `join` and `init`
do it the long way.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from typing import Any

import tomlkit

from lab.mesh_repository import MeshRepository
from lab.network import Lab
from lab.node import Node
from lab.tree import HOME
from mesh_sync.wireguard import keys

PORT = 51820
WORK = f"{HOME}/mesh"


class Mesh(MeshRepository):
    """The list, on the operator's machine and at the lab's git host, and the nodes that follow it."""

    def __init__(self, lab: Lab, *, networks: Iterable[str] = ("10.0.0.0/24",), url: str | None = None) -> None:
        super().__init__(lab.operator, HOME, url or lab.git.daemon_url, networks)
        self.lab = lab
        self.operator: Node = lab.operator
        self.nodes: dict[str, Node] = {}

    def enlist(self, name: str, node: Node, *, address: str, **keys_of_peer: Any) -> Node:
        """Make `node` the peer `name`: private key and node.toml on its disk, its file in the repository."""
        private = keys.generate()
        key_file = node.path("/etc/mesh-sync/private.key")
        key_file.touch(mode=0o600)
        key_file.write_text(private + "\n")
        self.configure(node, name=name)
        self.nodes[name] = node
        self.set(name, **{"public_key": keys.public_key(private), "addresses": [address], **keys_of_peer})
        return node

    def configure(self, node: Node, **changes: Any) -> None:
        """Write node.toml; `changes` are whole top-level keys or tables, None takes one away."""
        file = node.path("/etc/mesh-sync/node.toml")
        present = tomlkit.parse(file.read_text()).unwrap() if file.exists() else {}
        table = {
            "repository": {"urls": [self.url]},
            "trust": {"mode": "none"},
            "clock": "trusted",
            "watchdog": {"news": False},  # tests say themselves when a node follows
            **present,
            **changes,
        }
        plain = {key: value for key, value in table.items() if value is not None}
        file.write_text(tomlkit.dumps(dict(sorted(plain.items(), key=lambda item: isinstance(item[1], dict)))))

    def node(self, name: str, number: int, **keys_of_peer: Any) -> Node:
        """A node directly on the internet: 203.0.113.NUMBER, NAME.example:51820, mesh address 10.0.0.NUMBER."""
        address = f"203.0.113.{number}"
        host = self.lab.node(name, address, f"2001:db8::{number}")
        self.lab.dns.set(f"{name}.example", address)
        wanted = {"address": f"10.0.0.{number}", "endpoint": f"{name}.example:{PORT}", **keys_of_peer}
        wanted = {key: value for key, value in wanted.items() if value is not None}
        return self.enlist(name, host, **wanted)

    def trust(self, node: Node, *principals: str, **settings: str) -> None:
        """Have a node verify signatures, beginning with these of its own file."""
        file = node.path("/etc/mesh-sync/allowed_signers")
        file.write_text("".join(map(self.line, principals)))
        file.chmod(0o644)
        self.configure(node, trust={"mode": "signed", **settings})

    def begin_signed(self, admin: str) -> str:
        """Have all nodes verify this admin's signatures, from a first commit on, and tell each other of the next ones.

        Return that first commit, which they have applied.
        """
        self.allow(admin)
        self.sign_as(admin)
        first = self.push("all")
        for node in self.nodes.values():
            self.trust(node, admin, first_commit=first)
            self.configure(node, watchdog={})
        self.now()
        return first

    # -- the nodes

    def now(self, *names: str) -> None:
        """Run `mesh-sync now` on these nodes (all, if none is named), one after the other; each has to succeed."""
        for name in names or tuple(self.nodes):
            now(self.nodes[name])


def two_peers(lab: Lab) -> Mesh:
    """Peers a and b, 203.0.113.21 and .22, in sync with the list."""
    mesh = Mesh(lab)
    for number, name in enumerate("ab", start=21):
        mesh.node(name, number)
    mesh.push("two peers")
    mesh.now()
    return mesh


PATIENCE = 90.0
"""Seconds for a run."""


def now(node: Node, *options: str, exit_code: int = 0, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run `mesh-sync now` on a node and insist on its exit code. It may have to undo what it did, beside other load."""
    done = node.run(["mesh-sync", "now", *options], check=False, **{"timeout": PATIENCE, **how})
    assert done.returncode == exit_code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def now_json(node: Node, *options: str, exit_code: int = 0, **how: Any) -> dict[str, Any]:
    """`mesh-sync now --json` as an object."""
    found: dict[str, Any] = json.loads(now(node, "--json", *options, exit_code=exit_code, **how).stdout)
    return found


def status(node: Node) -> dict[str, Any]:
    """`mesh-sync status --json` as an object."""
    found: dict[str, Any] = json.loads(node.run(["mesh-sync", "status", "--json"]).stdout)
    return found


def dump(node: Node, interface: str = "wg0") -> dict[str, dict[str, str]]:
    """`wg show IF dump` by public key; the device's own line is under ''."""
    lines = node.run(["wg", "show", interface, "dump"]).stdout.splitlines()
    device = dict(zip(("private_key", "public_key", "port", "fwmark"), lines[0].split("\t"), strict=True))
    names = ("psk", "endpoint", "allowed_ips", "handshake", "rx", "tx", "keepalive")
    peers = (line.split("\t") for line in lines[1:])
    return {"": device, **{key: dict(zip(names, rest, strict=True)) for key, *rest in peers}}


def key_of(node: Node) -> str:
    """The public key of a node's wg0."""
    return dump(node)[""]["public_key"]


def stranger(mesh: Mesh, name: str, number: int, **keys_of_peer: Any) -> str:
    """List a peer that no machine stands behind, 10.0.0.NUMBER; return its key."""
    key = keys.public_key(keys.generate())
    wanted = {"addresses": [f"10.0.0.{number}"], "endpoint": f"203.0.113.{number}:51820", **keys_of_peer}
    mesh.set(name, public_key=key, **wanted)
    return key
