"""A mesh on whose nodes mesh-watchdog runs, for tests that look at it from several of them."""

from __future__ import annotations

from typing import Self

from e2e.running_watchdog import Watchdog
from lab import Lab
from lab.mesh import Mesh, dump, key_of


class WatchedMesh:
    """Enlist the nodes and push; from `with` on they have applied it, and are watched."""

    def __init__(self, lab: Lab) -> None:
        self.mesh = Mesh(lab)
        self.keys: dict[str, str] = {}
        self.watchdogs: dict[str, Watchdog] = {}

    def __enter__(self) -> Self:
        self.mesh.now()
        self.keys = {name: key_of(node) for name, node in self.mesh.nodes.items()}
        self.start(*self.mesh.nodes)
        return self

    def __exit__(self, *_: object) -> None:
        print(self.said())
        for watchdog in self.watchdogs.values():
            watchdog.end()

    def start(self, *names: str) -> None:
        for name in names:
            self.watchdogs[name] = Watchdog(self.mesh.nodes[name])
        for name in names:
            self.watchdogs[name].ready()

    def restart(self, *names: str) -> None:
        for name in names:
            self.watchdogs[name].end()
        self.start(*names)

    def said(self) -> str:
        return "\n".join(f"-- {name}: {watchdog.said()}" for name, watchdog in self.watchdogs.items())

    def state(self, at: str, of: str) -> str:
        """What the watchdog of one node says of another one."""
        found: str = self.watchdogs[at].peer(of)["state"]
        return found

    def dump(self, at: str, of: str) -> dict[str, str]:
        """A peer as the interface of another node has it."""
        return dump(self.mesh.nodes[at])[self.keys[of]]
