"""`rotate-key` on some nodes while the others go on as they do: with a timer, and watchdogs or not."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from lab.mesh import WORK, Mesh, dump
from lab.node import Node
from lab.ping import Loss, reachability, steady_ping
from lab.program import Program
from lab.waiting import until

NUMBERS = (("a", 11), ("b", 12), ("c", 13))
KEY = "/etc/mesh-sync/private.key"
TIMER = 3.0
"""Seconds; the product's has a minute."""
BESIDE = ("private.key.next", "private.key.previous")


def three(mesh: Mesh) -> tuple[Node, Node, Node]:
    """a, b and c, in the mesh and talking."""
    nodes = mesh.node("a", 11), mesh.node("b", 12), mesh.node("c", 13)
    mesh.push()
    mesh.now()
    all_reach(mesh)
    return nodes


def listed(mesh: Mesh, name: str) -> str:
    """A peer's file as it is at the git host."""
    mesh.operator.run(["git", "-C", WORK, "pull", "-q", "--rebase", mesh.url, "main"])
    return (mesh.operator.path(WORK) / f"peers/{name}.toml").read_text()


def take_no_end(mesh: Mesh, *, really: bool) -> None:
    """Whether the git host refuses commits without a next key for a."""
    hook = mesh.lab.git.bare / "hooks/update"
    hook.unlink(missing_ok=True)
    if really:
        hook.write_text('#!/bin/sh\ngit show "$3:peers/a.toml" | grep -q next_public_key\n')
        hook.chmod(0o755)


@contextlib.contextmanager
def timers(mesh: Mesh, *names: str) -> Iterator[None]:
    """`mesh-sync now` on each of these nodes when the list has changed, and else every few seconds."""
    over = threading.Event()

    def run(node: Node) -> None:
        last, at = "", 0.0
        while not over.wait(0.5):
            head = mesh.lab.git.head()
            if head != last or time.monotonic() > at + TIMER:
                last, at = head, time.monotonic()
                node.run(["mesh-sync", "now"], check=False, timeout=120)

    with ThreadPoolExecutor(len(names)) as pool:
        running = [pool.submit(run, mesh.nodes[name]) for name in names]
        try:
            yield
        finally:
            over.set()
    for each in running:
        each.result()


def begin(node: Node, *options: str) -> Program:
    """`mesh-sync rotate-key`, not waited for."""
    return node.popen(["mesh-sync", "rotate-key", *options])


def end(program: Program, exit_code: int = 0) -> str:
    """Wait for it, insist on its exit code, return what it said."""
    said: str = program.communicate(timeout=150)[0]
    assert program.returncode == exit_code, f"exit {program.returncode}\n{said}"
    return said


def rotate(node: Node, *options: str, exit_code: int = 0) -> str:
    return end(begin(node, *options), exit_code)


def address(mesh: Mesh, name: str) -> str:
    """Its mesh address."""
    line = mesh.nodes[name].run(["ip", "-brief", "-4", "address", "show", "wg0"]).stdout
    return line.split()[2].partition("/")[0]


def pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    return list(itertools.permutations(names, 2))


def all_reach(mesh: Mesh, *names: str, seconds: float = 90) -> None:
    """Every one of these nodes reaches every other one, in one round of pings, at the latest after so long."""
    asked = [(mesh.nodes[one], address(mesh, other)) for one, other in pairs(names or mesh.nodes)]
    silent: list[tuple[str, str]] = []

    def all_answer() -> bool:
        silent[:] = [pair for pair, answered in reachability(asked).items() if not answered]
        return not silent

    until(all_answer, seconds, what=lambda: silent)


@contextlib.contextmanager
def counted(mesh: Mesh, names: Sequence[str]) -> Iterator[Mapping[tuple[str, str], Loss]]:
    """Pings between all of them, 20 a second; the losses are filled in when the `with` ends."""
    with contextlib.ExitStack() as stack:
        yield {
            (one, other): stack.enter_context(
                steady_ping(mesh.nodes[one], address(mesh, other), interval=0.05)
            )
            for one, other in pairs(names)
        }  # fmt: skip


def held(node: Node) -> str:
    """What is in the private key file."""
    return node.path(KEY).read_text()


def leftovers(node: Node) -> list[str]:
    """Keys beside the node's own."""
    folder = node.path(KEY).parent
    return [name for name in BESIDE if (folder / name).exists()]


def keys_on(node: Node) -> set[str]:
    return {key for key in dump(node) if key}
