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

from lab.network import Lab
from lab.node import Node
from lab.tree import HOME
from mesh_sync.wireguard import keys

PORT = 51820
WORK = f"{HOME}/mesh"


class Mesh:
    """`files` are edited with `edit`, `set` and `remove`; `push` commits all of it and takes it to the git host."""

    def __init__(self, lab: Lab, *, networks: Iterable[str] = ("10.0.0.0/24",), url: str | None = None) -> None:
        self.lab = lab
        self.url = url or lab.git.daemon_url
        self.nodes: dict[str, Node] = {}
        self.signer: str | None = None
        self.operator = lab.operator
        self.operator.run(["git", "init", "-q", "-b", "main", WORK])
        (self.operator.path(WORK) / "peers").mkdir()
        self.set_mesh(format=1, name="lab", networks=list(networks))

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
        table = {"repository": {"urls": [self.url]}, "trust": {"mode": "none"}, **present, **changes}
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

    # -- editing the list

    def edit(self, path: str, text: str | bytes) -> None:
        """Write any file of the repository."""
        file = self.operator.path(WORK) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def set(self, peer: str, **changes: Any) -> None:
        """Change keys of a peer's file, or make it; None takes a key away."""
        self._change(f"peers/{peer}.toml", changes)

    def set_mesh(self, **changes: Any) -> None:
        """Change keys of mesh.toml; None takes a key away."""
        self._change("mesh.toml", changes)

    def remove(self, peer: str) -> None:
        """Take a peer's file away."""
        (self.operator.path(WORK) / f"peers/{peer}.toml").unlink()

    def _change(self, path: str, changes: dict[str, Any]) -> None:
        file = self.operator.path(WORK) / path
        table = tomlkit.parse(file.read_text()).unwrap() if file.exists() else {}
        plain = {key: value for key, value in {**table, **changes}.items() if value is not None}
        file.write_text(tomlkit.dumps(plain))

    def commit(self, message: str = "change") -> str:
        """Commit everything as it is now, signed if there is a signer; return the commit."""
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, message: str = "change", *, force: bool = False) -> str:
        """Commit everything as it is now and push it; return the commit."""
        commit = self.commit(message)
        self.publish(force=force)
        return commit

    def publish(self, commit: str = "HEAD", *, force: bool = False) -> None:
        """Push what is committed."""
        self.git("push", "-q", *(["--force"] if force else []), self.url, f"{commit}:refs/heads/main")

    def git(self, *words: str) -> str:
        """Run git in the operator's working copy, which signs what it commits if there is a signer."""
        signing = ["commit.gpgSign=false"]
        if self.signer:
            signing = ["commit.gpgSign=true", "gpg.format=ssh", f"user.signingKey={_key_file(self.signer)}"]
        settings = [word for setting in signing for word in ("-c", setting)]
        return self.operator.run(["git", "-C", WORK, *settings, *words]).stdout.strip()

    # -- who signs

    def line(self, principal: str, options: str = "") -> str:
        """The line of `allowed_signers` for a principal, whose key is made if it has none yet."""
        file = self.operator.path(_key_file(principal))
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            words = ["-q", "-t", "ed25519", "-N", "", "-C", principal]
            self.operator.run(["ssh-keygen", *words, "-f", _key_file(principal)])
        public = " ".join(file.with_name(f"{principal}.pub").read_text().split()[:2])
        return " ".join(filter(None, (principal, options, public))) + "\n"

    def sign_as(self, principal: str | None) -> None:
        """From now on this one's key signs the operator's commits; None: they are not signed."""
        if principal:
            self.line(principal)
        self.signer = principal

    def allow(self, *principals: str) -> None:
        """Let the repository's list allow just these."""
        self.edit("allowed_signers", "".join(map(self.line, principals)))

    def trust(self, node: Node, *principals: str, **settings: str) -> None:
        """Have a node verify signatures, beginning with these of its own file."""
        file = node.path("/etc/mesh-sync/allowed_signers")
        file.write_text("".join(map(self.line, principals)))
        file.chmod(0o644)
        self.configure(node, trust={"mode": "signed", **settings})

    # -- the nodes

    def now(self, *names: str) -> None:
        """Run `mesh-sync now` on these nodes (all, if none is named), one after the other; each has to succeed."""
        for name in names or tuple(self.nodes):
            now(self.nodes[name])


def _key_file(principal: str) -> str:
    return f"{HOME}/signers/{principal}"


def now(node: Node, *options: str, exit_code: int = 0, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run `mesh-sync now` on a node and insist on its exit code."""
    done = node.run(["mesh-sync", "now", *options], check=False, **how)
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
