"""What a node needs from this machine, and the one command that installs what is missing. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import frozen

from mesh_sync.node.config import Node

MANAGERS = {
    "apt-get": "apt-get install --no-install-recommends",  # recommended by wireguard-tools: a kernel
    "dnf": "dnf install",
    "zypper": "zypper install",
    "pacman": "pacman -S",
    "apk": "apk add",
}
PACKAGES = {
    "wg": "wireguard-tools", "ip": "iproute2", "git": "git", "nft": "nftables", "ssh": "openssh-client",
    "wireguard-go": "wireguard-go",
}  # fmt: skip
OTHERWISE = {
    ("dnf", "ip"): "iproute", ("dnf", "ssh"): "openssh-clients", ("zypper", "ssh"): "openssh-clients",
    ("pacman", "ssh"): "openssh", ("apk", "ssh"): "openssh-client-default",
}  # fmt: skip
"""Packages that a package manager has under other names."""


@frozen
class Missing:
    """``needed``: programs without which no pass succeeds; ``doubtful``: sentences about what may be missing, too;
    ``command``: what installs all of it.
    """

    needed: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    command: str = ""


def missing(node: Node, has: Callable[[str], bool], *, kernel: bool) -> Missing:
    """What is not there. ``has``: whether a program is installed; ``kernel``: whether the kernel shows a WireGuard."""
    needed = [program for program in _programs(node) if not has(program)]
    doubtful, wanted = list[str](), list(needed)
    if not kernel and not has("wireguard-go"):
        doubtful.append("the kernel shows no WireGuard, and wireguard-go, which does without, is not installed")
        wanted.append("wireguard-go")
    if "nft" not in needed and not has("nft"):
        doubtful.append("nft is not installed: this node could not route for subnets, relay, or use an exit")
        wanted.append("nft")
    return Missing(tuple(needed), tuple(doubtful), _command(wanted, has) if wanted else "")


def _programs(node: Node) -> Iterator[str]:
    yield from ("wg", "ip", "git")
    if any(_by_ssh(url) for url in node.repository.urls):
        yield "ssh"
    if node.gateway and node.gateway.masquerade:
        yield "nft"


def _by_ssh(url: str) -> bool:
    scheme, separator, _ = url.partition("://")
    return scheme.endswith("ssh") if separator else ":" in url.partition("/")[0]


def _command(programs: list[str], has: Callable[[str], bool]) -> str:
    manager = next((name for name in MANAGERS if has(name)), "")
    packages = " ".join(OTHERWISE.get((manager, program), PACKAGES[program]) for program in programs)
    return f"{MANAGERS[manager]} {packages}" if manager else f"install {packages}"
