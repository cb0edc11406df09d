"""`rotate-key` on some nodes while the others go on as they do: with a timer, and watchdogs or not."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lab.mesh import Mesh, dump
from lab.node import Node
from lab.ping import Loss, reachability, steady_ping
from lab.program import Program
from lab.waiting import until

KEY = "/etc/mesh-sync/private.key"
BESIDE = ("private.key.next", "private.key.previous")


@contextlib.contextmanager
def timers(*nodes: Node) -> Iterator[None]:
    """`mesh-sync now` on each of the nodes, again and again: their timers, in a hurry."""
    over = threading.Event()

    def run(node: Node) -> None:
        while not over.wait(0.5):
            node.run(["mesh-sync", "now"], check=False, timeout=60)

    threads = [threading.Thread(target=run, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


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


def all_reach(mesh: Mesh, *names: str, seconds: float = 40) -> None:
    """Every one of these nodes reaches every other one, at the latest after so long."""
    asked = [(mesh.nodes[one], address(mesh, other)) for one, other in pairs(names or mesh.nodes)]

    def unanswered() -> list[tuple[str, str]]:
        return [pair for pair, answered in reachability(asked).items() if not answered]

    until(lambda: not unanswered(), seconds, what=unanswered)


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
