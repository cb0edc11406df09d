"""node.toml: which peer this machine is, where its list comes from, where things lie. Owned by root, never in git.

Attribute names are the keys of the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen

from mesh_sync.errors import ConfigError
from mesh_sync.findings import shown
from mesh_sync.typed_toml.fields import between, one_line, peer_name, prose, text
from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.typed_toml.table import Wrong, list_of, table

DEFAULT_CONFIG = Path("/etc/mesh-sync/node.toml")
DEFAULT_SIGNING_KEY = Path("/etc/mesh-sync/signing.key")


@frozen(kw_only=True)
class Repository:
    """Where the list comes from. ``deadline``: seconds that asking, and fetching, may take; ``max_size``: MiB.

    ``identity_file`` and ``known_hosts_file`` are ssh's; without them it looks where it always does.
    """

    urls: tuple[str, ...]
    branch: str = "main"
    deadline: int = 20
    max_size: int = 256
    identity_file: Path | None = None
    known_hosts_file: Path | None = None


@frozen(kw_only=True)
class Trust:
    """Which commits this node accepts. ``mode`` has no default: "none" has to be written out.

    ``allowed_signers``: root's own file, with which trust begins; ``first_commit``: what all else descends from.
    """

    mode: Literal["signed", "none"]
    allowed_signers: Path = Path("/etc/mesh-sync/allowed_signers")
    first_commit: str | None = None


@frozen(kw_only=True)
class Confirm:
    """A new commit has ``deadline`` seconds to show that peers and a remote still answer; 0: it need not."""

    deadline: int = 30


@frozen(kw_only=True)
class Gateway:
    """This node routes for its subnets; ``masquerade`` names the interface whose hosts see the node's address."""

    masquerade: str = ""


@frozen(kw_only=True)
class Nat:
    """``port_mapping``: whether a router in front of this machine is asked to forward WireGuard's port to it.

    ``birthday``: whether this node takes part in rounds of many packets with peers behind another kind of NAT, not
    through the devices in ``metered``.
    """

    port_mapping: bool = True
    birthday: bool = False
    metered: tuple[str, ...] = ()


@frozen(kw_only=True)
class Dns:
    """``serve``: whether mesh-watchdog answers peers that ask for names and for each other on port 53.

    ``names``: by what programs of this machine find peers by name: systemd-resolved, /etc/hosts, or not at all.
    """

    serve: bool = True
    names: Literal["none", "resolved", "hosts"] = "none"


@frozen(kw_only=True)
class Hooks:
    """Commands of this machine's own root, run by `sh -c`. The mesh repository cannot set them."""

    post_up: tuple[str, ...] = ()
    pre_down: tuple[str, ...] = ()


@frozen(kw_only=True)
class Paths:
    """Where things lie; relocatable, so that many nodes can run on one machine."""

    state: Path = Path("/var/lib/mesh-sync")
    run: Path = Path("/run/mesh-sync")
    wireguard: Path = Path("/etc/wireguard")
    hosts: Path = Path("/etc/hosts")


@frozen(kw_only=True)
class Node:
    """This machine's place in the mesh. The `[watchdog]` table belongs to mesh-watchdog.

    ``machine``: what the list calls this machine, where the node may be on several of them.
    ``accept_exit``: whether this machine leaves by the exit that the list gives it. ``git_past_exit``: when git goes
    past it by this machine's own network: while it does not answer, whenever no remote answers, or never.
    ``signing_key_file``: the SSH key with which this node signs its own commits; `join --trust signed` makes it.
    ``clock``: whether this machine's clock counts even when the kernel does not say that something keeps it right.
    ``mesh_secret_file``: the secrets of `preshared_keys = "derived"`, when they are not to come sealed with the list.
    """

    name: str
    machine: str = ""
    interface: str = "wg0"
    private_key_file: Path = Path("/etc/mesh-sync/private.key")
    signing_key_file: Path = DEFAULT_SIGNING_KEY
    mesh_secret_file: Path | None = None
    foreign_peers: Literal["keep", "remove"] = "keep"
    clock: Literal["kernel", "trusted"] = "kernel"
    accept_exit: bool = True
    git_past_exit: Literal["dead", "unreachable", "never"] = "dead"
    repository: Repository
    trust: Trust
    confirm: Confirm = Confirm()
    gateway: Gateway | None = None
    nat: Nat = Nat()
    dns: Dns = Dns()
    hooks: Hooks = Hooks()
    paths: Paths = Paths()
    watchdog: dict[str, Any] = field(factory=dict)

    @property
    def conf_file(self) -> Path:
        return self.paths.wireguard / f"{self.interface}.conf"

    @property
    def state_file(self) -> Path:
        return self.paths.state / self.interface / "state.json"

    @property
    def kept_secret_file(self) -> Path:
        """The last mesh secrets that were sealed to this node, for when its key changes (0600)."""
        return self.paths.state / self.interface / "mesh.secret"

    @property
    def bare_repository(self) -> Path:
        return self.paths.state / self.interface / "repo.git"

    @property
    def lock_file(self) -> Path:
        """Held while the interface is changed, by mesh-watchdog too; only for as long as that takes."""
        return self.paths.run / f"{self.interface}.lock"

    @property
    def run_lock_file(self) -> Path:
        """Held by a run of mesh-sync from its first look at the state to its last write, network included."""
        return self.paths.run / f"{self.interface}.run.lock"

    @property
    def counters_file(self) -> Path:
        """What the peers' counters were at the last look, while the mesh moves to another secret (`overlap`)."""
        return self.paths.run / f"{self.interface}.counters.json"

    @property
    def last_run_file(self) -> Path:
        """How the last run of `mesh-sync now` ended, and when (`last_run`)."""
        return self.paths.run / f"{self.interface}.last-run.json"

    @property
    def clock_file(self) -> Path:
        """What the clock said when this boot first saw it kept right."""
        return self.paths.run / f"{self.interface}.clock.json"

    @property
    def past_exit_file(self) -> Path:
        """The addresses to which a way past the exit is open; only while `now` asks the remotes."""
        return self.paths.run / f"{self.interface}.past_exit.json"

    @property
    def path_mtu_file(self) -> Path:
        """What the paths to peers were found to take; written by mesh-watchdog (`interface_mtu`)."""
        return self.paths.run / f"{self.interface}.path-mtu.json"

    @property
    def news_file(self) -> Path:
        """A commit that peers have told of; in a folder of its own, which a path unit of systemd can watch."""
        return self.paths.run / "news" / f"{self.interface}.json"

    @property
    def code_file(self) -> Path:
        """Digest of the code that mesh-watchdog runs (`own_code`); written by itself when it begins."""
        return self.paths.run / f"{self.interface}.watchdog.code"

    @property
    def served_repository(self) -> Path:
        """What mesh-watchdog serves to peers: one ref, and the bare copy's objects."""
        return self.paths.run / f"{self.interface}.served.git"

    @property
    def names_file(self) -> Path:
        """What systemd-resolved was told of the interface, and of which one."""
        return self.paths.run / f"{self.interface}.names.json"

    @property
    def sysctl_file(self) -> Path:
        return self.paths.run / f"{self.interface}.sysctl.json"


def load(path: Path) -> Node:
    """Read node.toml. Raise ConfigError with everything that is wrong, each as ``file:key: message``."""
    try:
        return parse(path.read_bytes(), path)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", hint="`mesh-sync join` writes it") from None
    except PermissionError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="run it as root") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="--config FILE names node.toml") from None


def parse(content: bytes, path: Path) -> Node:
    """The node.toml with this content; ``path`` is for the messages of the ConfigError."""
    try:
        return _node(read_toml(content))
    except Wrong as wrong:
        raise ConfigError(wrong.lines(f"{path}:")) from None


def _interface(value: object) -> str:
    name = text(value)
    if not 0 < len(name) < 16 or "/" in name or name in (".", "..") or not name.isascii() or not name.isprintable():
        raise ValueError(f"{shown(name)} is not a name of a network interface (at most 15 characters)")
    if any(char in name for char in " :\"'"):
        raise ValueError(f"{shown(name)} holds a character that no interface name should")
    return name


def _branch(value: object) -> str:
    name: str = one_line(255)(value)
    if not name or name.startswith(("-", "/")) or ".." in name or any(char in name for char in " ~^:?*[\\@{"):
        raise ValueError(f"{shown(name)} is not the name of a branch")
    return name


def _commit(value: object) -> str:
    name = text(value)
    if re.fullmatch(r"[0-9a-f]{64}", name):
        raise ValueError(f"{shown(name)} is a commit of a SHA-256 repository, which mesh-sync does not read")
    if not re.fullmatch(r"[0-9a-f]{40}", name):
        raise ValueError(f"{shown(name)} is not the full hash of a commit")
    return name


def _urls(value: object) -> tuple[str, ...]:
    urls: tuple[str, ...] = _texts(value)
    if not urls:
        raise ValueError("is empty; name at least one remote")
    for url in urls:
        if url.startswith("-") or "::" in url.partition("/")[0].partition("[")[0] or not url.isprintable():
            raise ValueError(f"{shown(url)} is not the address of a git repository")
    return urls


def _masquerade(value: object) -> str:
    return _interface(value) if value else ""


_texts = list_of(one_line(2048), most=64)
_commands = list_of(prose(4096), most=64)
_node = table(
    Node,
    {
        Repository: table(
            Repository,
            urls=_urls,
            branch=_branch,
            deadline=between(1, 600, "a number of seconds"),
            max_size=between(1, 65536, "a number of MiB"),
        ),
        Trust: table(Trust, first_commit=_commit),
        Confirm: table(Confirm, deadline=between(0, 300, "a number of seconds")),
        Hooks: table(Hooks, post_up=_commands, pre_down=_commands),
        Gateway: table(Gateway, masquerade=_masquerade),
        Nat: table(Nat, metered=list_of(_interface, most=16)),
    },
    name=peer_name,
    machine=peer_name,
    interface=_interface,
)
