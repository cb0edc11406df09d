"""A host that can be part of the mesh: a disk of its own, a resolver, an SSH key, WireGuard."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

from lab.host import Host
from lab.tree import HOME, Tree

DISK = (PurePosixPath(HOME), *map(PurePosixPath, ("/etc/mesh-sync", "/etc/wireguard", "/var/lib/mesh-sync")))
RESOLV_CONF = PurePosixPath("/etc/resolv.conf")


class Node(Host):
    """A machine with the product's default paths, which survive its reboots and are its own.

    `kernel_wireguard` tells whether interfaces come from the kernel or from wireguard-go.
    """

    extra = "".join(f'mount --bind "$directory{path}" {path}\n' for path in (*DISK, RESOLV_CONF))

    ssh_key = f"{HOME}/.ssh/id_ed25519"
    known_hosts = f"{HOME}/.ssh/known_hosts"

    def __init__(
        self, name: str, capsule: Tree, directory: Path, resolvers: tuple[str, ...], *, kernel_wireguard: bool
    ) -> None:
        self.kernel_wireguard = kernel_wireguard
        self._resolvers = resolvers
        super().__init__(name, capsule, directory)

    def prepare(self) -> None:
        for path in DISK:
            self.path(path).mkdir(parents=True, mode=0o700)
        self.set_resolvers(*self._resolvers)
        key = self.path(self.ssh_key)
        key.parent.mkdir(mode=0o700)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", key],
            check=True,
            timeout=10,
        )
        self.path(self.known_hosts).touch()
        identity = f"[user]\n\tname = {self.name}\n\temail = {self.name}@example.org\n"
        self.path(f"{HOME}/.gitconfig").write_text(f"{identity}[init]\n\tdefaultBranch = main\n")

    @property
    def root(self) -> Path:
        """The node's disk, seen from outside."""
        return self.directory

    def path(self, path: str | PurePosixPath) -> Path:
        """Where a file of the node is on the outside: on its disk, or in its memory until it is shut down."""
        inside = PurePosixPath(path)
        if inside == RESOLV_CONF or any(inside.is_relative_to(kept) for kept in DISK):
            return self.directory / inside.relative_to("/")
        return Path(f"/proc/{self.tree.pid}/root") / inside.relative_to("/")

    def set_resolvers(self, *addresses: str) -> None:
        """Ask these name servers from now on."""
        self.path(RESOLV_CONF).write_text("".join(f"nameserver {address}\n" for address in addresses))

    def add_wireguard(self, interface: str = "wg0") -> None:
        """Make a WireGuard interface, down and without keys."""
        if self.kernel_wireguard:
            self.ip(f"link add {interface} type wireguard")
        else:
            self.run(["wireguard-go", interface])
