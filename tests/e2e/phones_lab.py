"""Phones of a mesh with an exit: each runs the config that was exported for it, and nothing of mesh-sync."""

from __future__ import annotations

from attrs import define

from e2e.exit_lab import BOTH, serve
from lab import Lab
from lab.mesh import WORK, Mesh
from lab.node import Node
from lab.tree import HOME
from mesh_sync.wireguard import keys

RESOLVCONF = """#!/bin/sh
test "$1" = -d || exec cat >/etc/resolv.conf
"""


@define
class Phone:
    """A machine in another part of the internet, with a peer's private key at the operator's."""

    name: str
    node: Node
    key_file: str

    def scan(self, config: str) -> None:
        """Take this config instead of the one before, and switch the tunnel on."""
        self.switch_off()
        file = self.node.path("/etc/wireguard/wg0.conf")
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        file.write_text(config)
        self._wg_quick("up")

    def switch_off(self) -> None:
        if self.node.run(["wg", "show", "wg0"], check=False).returncode == 0:
            self._wg_quick("down")

    def _wg_quick(self, verb: str) -> None:
        """wg-quick gives nameservers to resolvconf(8), which is here the few lines of it that a phone needs."""
        program = self.node.path(f"{HOME}/resolvconf")
        program.write_text(RESOLVCONF)
        program.chmod(0o755)
        self.node.run(["sh", "-c", f"PATH={HOME}:$PATH wg-quick {verb} wg0"])


class PhonesLab:
    """`exit` masquerades what comes by the mesh, and is a hub; `hub`, another one, uses it as its exit.

    The hub and the phones are behind a router, `world` is a witness beyond the exit, reached by default routes only.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.mesh = Mesh(lab, networks=["10.0.0.0/24", "fd00:77::/64"])
        own = {"addresses": ["10.0.0.12", "fd00:77::12"], "endpoint": "203.0.113.12:51820", "subnets": BOTH}
        self.exit = self.mesh.node("exit", 12, **own)
        self.mesh.configure(self.exit, gateway={"masquerade": "eth0"})
        addresses = ["10.0.0.22", "fd00:77::22"]
        self.hub = self.mesh.enlist(
            "hub", lab.far("hub", 22), address=addresses[0], addresses=addresses, endpoint="198.51.100.22:51820",
            exit="exit",
        )  # fmt: skip
        self.world = lab.node("world", "203.0.113.99", "2001:db8::99")
        serve(self.world)

    def phone(self, name: str, number: int, **keys_of_peer: object) -> Phone:
        """List a phone, 198.51.100.NUMBER, with a key of its own."""
        private, file = keys.generate(), f"{HOME}/{name}.key"
        self.lab.operator.path(file).touch(mode=0o600)
        self.lab.operator.path(file).write_text(private + "\n")
        addresses = [f"10.0.0.{number}", f"fd00:77::{number}"]
        self.mesh.set(name, public_key=keys.public_key(private), addresses=addresses, managed=False, **keys_of_peer)
        return Phone(name, self.lab.far(name, number), file)

    def exported(self, phone: Phone, *options: str) -> str:
        """The config that the operator exports for a phone."""
        command = ["mesh-sync", "export", phone.name, "--private-key-file", phone.key_file, "-C", WORK, *options]
        return self.lab.operator.run(command).stdout
