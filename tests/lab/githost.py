"""The git host: OpenSSH and git daemon in front of bare repositories below /srv."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path

from lab.host import Host
from lab.node import Node
from lab.service import Service, listening

NAME = "git.example.org"

# sshd runs as an ordinary user, `git`, in a user namespace: without privileges it needs no separation user
# and no setgroups(), which the mapped root of an unprivileged lab does not have.
SSHD = (
    *("unshare", "--user", "--map-user=1000", "--map-group=1000", "--"),
    *("/usr/sbin/sshd", "-D", "-e", "-f"),
)
# Not `git daemon`, which is only the parent of the one that listens.
DAEMON = ("--verbose", "--reuseaddr", "--export-all", "--enable=receive-pack", "--base-path=/srv", "/srv")

CONFIGURATION = """\
Port 22
HostKey {place}/host_key
AuthorizedKeysFile {place}/authorized_keys
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
StrictModes no
MaxStartups 100
"""


class GitMachine(Host):
    """The host below; its disk is mounted at /srv."""

    extra = 'mount --bind "$directory/srv" /srv'

    def prepare(self) -> None:
        (self.directory / "srv").mkdir()


class GitHost:
    """`url` for SSH, `daemon_url` for git://, `bare` the repository of either on the outside's disk.

    `name` is what DNS calls it.
    """

    def __init__(self, host: Host, name: str = NAME) -> None:
        self.host, self.name = host, name
        place = host.directory
        (place / "sshd_config").write_text(CONFIGURATION.format(place=place))
        (place / "authorized_keys").touch()
        self._users: dict[str, Node] = {}
        self._introducing = threading.Lock()
        self._make_host_key()
        self.bare = self.repository("mesh")
        self.url = f"ssh://git@{name}/srv/mesh.git"
        self.daemon_url = f"git://{name}/mesh.git"
        self.sshd = Service(host, [*SSHD, str(place / "sshd_config")], listening("tcp", 22))
        daemon = Path(host.run(["git", "--exec-path"]).stdout.strip()) / "git-daemon"
        self.daemon = Service(host, [daemon, *DAEMON], listening("tcp", 9418))
        self.start()

    def repository(self, name: str) -> Path:
        """Make another bare repository, /srv/NAME.git; return where it is on the outside."""
        bare = self.host.directory / "srv" / f"{name}.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", bare], check=True, timeout=10)
        return bare

    def head(self) -> str:
        """The commit of the branch `main` of `bare`."""
        return (self.bare / "refs/heads/main").read_text().strip()

    # -- who may use it

    def introduce(self, node: Node) -> None:
        """Let the node's key in, and let the node know the host's key."""
        with self._introducing:
            self._users[node.name] = node
            self.allow(self._users.values())
        known = node.path(node.known_hosts)
        others = [line for line in known.read_text().splitlines(True) if not line.startswith(f"{self.name} ")]
        known.write_text("".join((*others, f"{self.name} {self._host_key()}")))

    def allow(self, nodes: Iterable[Node]) -> None:
        """Let exactly these nodes in over SSH; none: all credentials are refused."""
        keys = (node.path(node.ssh_key).with_suffix(".pub").read_text() for node in nodes)
        (self.host.directory / "authorized_keys").write_text("".join(keys))

    def change_host_key(self) -> None:
        """Become, for every client, somebody else under the same name."""
        self._make_host_key()
        self.sshd.kill()
        self.sshd.start()

    def _host_key(self) -> str:
        return (self.host.directory / "host_key.pub").read_text()

    def _make_host_key(self) -> None:
        key = self.host.directory / "host_key"
        key.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=10)

    # -- trouble

    def start(self) -> None:
        for service in (self.sshd, self.daemon):
            service.launch()
        for service in (self.sshd, self.daemon):
            service.wait()

    def kill(self) -> None:
        """Both transports refuse connections."""
        for service in (self.sshd, self.daemon):
            service.kill()

    def freeze(self) -> None:
        """Both transports accept connections and never answer."""
        for service in (self.sshd, self.daemon):
            service.freeze()

    def thaw(self) -> None:
        for service in (self.sshd, self.daemon):
            service.thaw()
