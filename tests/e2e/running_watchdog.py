"""A running mesh-watchdog and what it says, for the tests that let the world move around it."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.mesh import dump
from lab.node import Node
from lab.program import Program
from lab.waiting import LONG, until

STATUS = "/run/mesh-sync/wg0.watchdog.json"


class Watchdog:
    """`mesh-watchdog run` on a node, or another program like it (``argv``).

    What it says goes to a file, so that it never waits for a reader.
    """

    def __init__(
        self, node: Node, env: Mapping[str, str] | None = None, argv: Sequence[str | Path] = ("mesh-watchdog", "run")
    ) -> None:
        self.node = node
        self.log = node.directory / f"watchdog.{time.monotonic_ns()}.log"
        self.env = dict(env or {})
        with self.log.open("wb") as log:
            self.program: Program = node.popen(argv, env=env, stdout=log.fileno())

    def ready(self) -> None:
        until(lambda: "watching wg0" in self.said(), 60, what=self.said)

    def said(self) -> str:
        return self.log.read_text()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, and return its exit code."""
        if self.program.poll() is None:
            self.program.send_signal(number)
        self.program.wait(timeout=LONG)
        return self.program.returncode

    def shown(self) -> dict[str, Any]:
        """`mesh-watchdog status --json`."""
        found: dict[str, Any] = json.loads(self.node.run(["mesh-watchdog", "status", "--json"]).stdout)
        return found

    def written(self) -> dict[str, Any]:
        """The status file as it is: quicker than asking the command, for those who ask all the time.

        A watchdog that has just been started has not written one yet.
        """
        file = self.node.path(STATUS)
        found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"peers": []}
        return found

    def peer(self, name: str) -> dict[str, Any]:
        """One peer of the status, once it is in there: an older one may be from before the list had it."""
        until(lambda: name in {peer["name"] for peer in self.written()["peers"]}, what=name)
        return peer_in(self.written(), name)

    def all_are(self, state: str, *names: str) -> bool:
        peers = {peer["name"]: peer["state"] for peer in self.written()["peers"]}
        return bool(peers) and all(peers.get(name) == state for name in names or peers)


@contextlib.contextmanager
def watching(node: Node, env: Mapping[str, str] | None = None) -> Iterator[Watchdog]:
    """A watchdog that watches, until the end of the `with`."""
    watchdog = Watchdog(node, env)
    try:
        watchdog.ready()
        yield watchdog
    finally:
        watchdog.end()
        print(f"-- the watchdog of {node.name} said:\n{watchdog.said()}")


def peer_in(view: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One peer of a status."""
    found: dict[str, Any] = next(peer for peer in view["peers"] if peer["name"] == name)
    return found


def endpoint(node: Node, key: str) -> str:
    """Where the node's interface has a peer; empty if it does not have the peer."""
    return dump(node).get(key, {}).get("endpoint", "")
