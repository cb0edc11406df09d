"""A running mesh-watchdog and what it says, for the tests that let the world move around it."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.host import Host
from lab.mesh import dump
from lab.node import Node
from lab.program import Program
from lab.waiting import until

STATUS = "/run/mesh-sync/wg0.watchdog.json"
CANNOT_BEGIN = """
    table ip shut {
        chain output {
            type filter hook output priority 0
            udp sport 51820 ct direction original drop
        }
    }"""
"""For a node: it answers whoever speaks to it, and never speaks first, so that nobody learns where it is."""
LETS_NOTHING_BEGIN = """
    table ip shut {
        chain forward {
            type filter hook forward priority 0
            iifname "lan" udp sport 51820 ct direction original drop
        }
    }"""
"""The same for the router of a site."""

_ANSWER = re.compile(r"^\[([\d.]+)\] \d+ bytes from ", re.MULTILINE)


class Watchdog:
    """`mesh-watchdog run` on a node. What it says goes to a file, so that it never waits for a reader."""

    def __init__(self, node: Node, env: Mapping[str, str] | None = None) -> None:
        self.node = node
        self.log = node.directory / f"watchdog.{time.monotonic_ns()}.log"
        self.env = dict(env or {})
        with self.log.open("wb") as log:
            self.program: Program = node.popen(["mesh-watchdog", "run"], env=env, stdout=log.fileno())

    def ready(self) -> None:
        until(lambda: "watching wg0" in self.said(), what=self.said)

    def said(self) -> str:
        return self.log.read_text()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, and return its exit code."""
        if self.program.poll() is None:
            self.program.send_signal(number)
        self.program.wait(timeout=10)
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


class Pings:
    """A ping that goes on, five to the second unless told otherwise; `since` says when it was first answered."""

    def __init__(self, host: Host, address: str, interval: float = 0.2) -> None:
        self._file = host.directory / f"ping.{address}.{time.monotonic_ns()}"
        with self._file.open("wb") as out:
            self.program = host.popen(["ping", "-D", "-n", "-i", str(interval), address], stdout=out.fileno())

    def answers(self, since: float) -> list[float]:
        """The moments (wall clock) of the answers after that moment."""
        return [when for when in map(float, _ANSWER.findall(self._file.read_text())) if when > since]

    def flows(self, since: float, seconds: float = 20.0) -> float:
        """Wait for an answer; return how many seconds after the moment it came."""
        until(lambda: self.answers(since), seconds, what="an answer to a ping")
        return self.answers(since)[0] - since

    def end(self) -> None:
        self.program.send_signal(signal.SIGINT)
        self.program.wait(timeout=10)


@contextlib.contextmanager
def pinging(host: Host, *addresses: str, interval: float = 0.2) -> Iterator[tuple[Pings, ...]]:
    """Traffic to all of these addresses."""
    pings = tuple(Pings(host, address, interval) for address in addresses)
    try:
        yield pings
    finally:
        for ping in pings:
            ping.end()


def endpoint(node: Node, key: str) -> str:
    """Where the node's interface has a peer; empty if it does not have the peer."""
    return dump(node).get(key, {}).get("endpoint", "")


def numbered_writes(log: Path) -> list[str]:
    """The endpoints that were set, from a log of calls."""
    return re.findall(r"endpoint (\S+)", log.read_text())
