"""A git host that is away, slow or silent, and what a node is like meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import CompletedProcess

from lab import Lab, Node, steady_ping
from lab.mesh import Mesh, now, status
from lab.segment import Family
from lab.snapshot import conf_of, device

HOST = "git.example.org"
GIT = f"git://{HOST}/mesh.git"
SSH = f"ssh://git@{HOST}/srv/mesh.git"
COPY = "/var/lib/mesh-sync/wg0/repo.git"
FAMILIES: tuple[Family, ...] = ("ipv4", "ipv6")
START = 10.0
"""Seconds that a run may take beyond its deadline on a slow and busy machine."""


def ask(mesh: Mesh, node: Node, *urls: str, deadline: int = 3, **settings: object) -> None:
    """Let the node ask these remotes, with the lab's ssh key and known hosts."""
    ssh = {"identity_file": Node.ssh_key, "known_hosts_file": Node.known_hosts}
    mesh.configure(node, repository={"urls": list(urls), "deadline": deadline, **ssh, **settings})


def reaches(node: Node, address: str, seconds: int = 10) -> bool:
    return node.run(["ping", "-c1", f"-w{seconds}", "-i0.2", address], check=False).returncode == 0


def mtu(node: Node) -> int:
    return int(node.run(["cat", "/sys/class/net/wg0/mtu"]).stdout)


def sentence(done: CompletedProcess[str]) -> str:
    """The one sentence on stderr, without what it advises to do."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("mesh-sync: ")
    return lines[0].removeprefix("mesh-sync: ")


def unreachable(node: Node, within: float = 3) -> str:
    """Run `now` on a node that has drifted: it says one sentence, in time, and the rest is as ever."""
    before, written, commit = device(node), conf_of(node), status(node)["commit"]
    node.ip("link set wg0 mtu 1300")
    with steady_ping(node, "10.0.0.22") as loss:
        begin = time.monotonic()
        done = now(node, exit_code=3)
        took = time.monotonic() - begin
    assert took < within + START
    assert "MTU 1300 -> 1420" in done.stdout
    assert mtu(node) == 1420
    assert (device(node), conf_of(node), status(node)["commit"]) == (before, written, commit)
    assert loss.lost == 0
    return sentence(done)


@contextmanager
def down(lab: Lab) -> Iterator[None]:
    lab.git.kill()
    try:
        yield
    finally:
        lab.git.start()


@contextmanager
def swallowed(lab: Lab) -> Iterator[None]:
    for family in FAMILIES:
        lab.git.host.port.block(family)
    try:
        yield
    finally:
        for family in FAMILIES:
            lab.git.host.port.unblock(family)


@contextmanager
def frozen(lab: Lab) -> Iterator[None]:
    lab.git.freeze()
    try:
        yield
    finally:
        lab.git.thaw()


@contextmanager
def slow(lab: Lab) -> Iterator[None]:
    """The git host sends no more than a megabit per second."""
    qdisc = ["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "1mbit", "burst", "10kb", "latency", "1s"]
    lab.git.host.run(qdisc)
    try:
        yield
    finally:
        lab.git.host.run(["tc", "qdisc", "delete", "dev", "eth0", "root"])


@contextmanager
def no_git_no_dns(lab: Lab) -> Iterator[None]:
    lab.dns.kill()
    lab.git.kill()
    try:
        yield
    finally:
        lab.dns.start()
        lab.git.start()
