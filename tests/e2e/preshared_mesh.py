"""A mesh with preshared keys under test: its secret with the operator, and what the nodes' devices have."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from lab.mesh import WORK, Mesh, dump, key_of
from lab.node import Node
from lab.ping import Loss, steady_ping
from lab.tree import HOME

SECRET = f"{HOME}/mesh.secret"


def secret(mesh: Mesh, *words: str) -> str:
    """`mesh-sync secret` on the operator's machine."""
    return mesh.operator.run(["mesh-sync", "secret", *words, "-C", WORK]).stdout


def at(moment: float) -> tuple[str, str]:
    """The option for a move at this moment."""
    return "--at", datetime.fromtimestamp(moment, UTC).isoformat()


def pairs(mesh: Mesh, names: Iterable[str]) -> list[tuple[Node, Node]]:
    return list(itertools.permutations((mesh.nodes[name] for name in names), 2))


def psk(one: Node, other: Node) -> str:
    """The preshared key that `one` has for `other`."""
    return dump(one)[key_of(other)]["psk"]


def psks(mesh: Mesh, names: Iterable[str]) -> dict[tuple[str, str], str]:
    """The key of each pair, which both ends have."""
    found: dict[tuple[str, str], str] = {}
    for one, other in pairs(mesh, names):
        pair = min(one.name, other.name), max(one.name, other.name)
        assert found.setdefault(pair, psk(one, other)) == psk(one, other), f"{pair} do not agree"
    return found


def handshake_age(one: Node, other: Node) -> float:
    moment = int(dump(one)[key_of(other)]["handshake"])
    return time.time() - moment if moment else float("inf")


@contextlib.contextmanager
def all_pinging(mesh: Mesh, names: Iterable[str]) -> Iterator[dict[tuple[str, str], Loss]]:
    """20 pings a second from each of these to each other one, through the body of the `with`."""
    with contextlib.ExitStack() as pings:
        yield {
            (one.name, other.name): pings.enter_context(
                steady_ping(one, f"10.0.0.{other.name.removeprefix('n')}", interval=0.05)
            )
            for one, other in pairs(mesh, names)
        }


def lost(losses: dict[tuple[str, str], Loss]) -> dict[tuple[str, str], tuple[int, int]]:
    """Lost and sent by pair, where anything was lost. Every ping must have run."""
    assert all(loss.sent for loss in losses.values())
    return {pair: (loss.lost, loss.sent) for pair, loss in losses.items() if loss.lost}


def connects(one: Node, address: str, seconds: int = 10) -> bool:
    return (
        one.run(["ping", "-q", "-n", "-c1", f"-w{seconds}", address], check=False, timeout=seconds + 10).returncode == 0
    )
