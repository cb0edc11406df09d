"""Seconds from a push until all nodes have applied it, where one asks the git host every 2 s and tells the others."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator

from bench.series import duration
from bench.table import Lines

from e2e.running_watchdog import Watchdog
from lab import Lab
from lab.mesh import Mesh, now
from lab.waiting import until
from mesh_sync.wireguard import keys

SIZES = (4, 10, 20)
"""Nodes. Four are one step of the news: one asks and tells the three others."""
FIRST = 100
"""What is added to their numbers: the lab has the first addresses itself."""
EVERY = 2.0
"""Seconds between two questions of the one that asks."""
LONG = 60.0
REST = 12.0
"""Seconds between two pushes: a node looks at most six times a minute because of what it is told."""
ADMIN = "anna@example.org"
NOTE = (
    "From the end of `git push` to state.json, of all nodes and pushes. Asked: connections to the git host from the\n"
    "push until the last node had it, without those of the node that asks every 2 s. All nodes share one machine:\n"
    "what grows with their number faster than the steps of the news (1, 2 and 3) is their wait for a processor."
)


class World:
    """The nodes n1, n2, … of a mesh in which commits are signed."""

    def __init__(self, lab: Lab, nodes: int) -> None:
        self.lab, self.nodes = lab, nodes
        self.mesh = mesh = Mesh(lab)
        for number in range(1, nodes + 1):
            mesh.node(f"n{number}", FIRST + number)
        mesh.begin_signed(ADMIN)
        self.asking = threading.Event()
        self.turn = 0

    def applied(self) -> dict[str, str]:
        files = {name: node.path("/var/lib/mesh-sync/wg0/state.json") for name, node in self.mesh.nodes.items()}
        return {name: json.loads(file.read_text())["applied"]["commit"] for name, file in files.items()}

    def ask(self) -> None:
        """The one node that asks, until the end."""
        while not self.asking.is_set():
            began = time.monotonic()
            self.mesh.nodes["n1"].run(["mesh-sync", "now"], check=False, timeout=LONG)
            self.asking.wait(max(0.0, began + EVERY - time.monotonic()))

    def connections(self) -> int:
        """How often nodes but n1 have asked the git host so far."""
        log = (self.lab.git.host.directory / "log").read_text(errors="replace")
        found = re.findall(r"Connection from ([0-9a-f.:\[\]]+):\d+", log)
        others = {f"203.0.113.{FIRST + number}" for number in range(2, self.nodes + 1)}
        return sum(address in others for address in found)

    def push(self, then: Callable[[], None] | None = None) -> tuple[list[float], int]:
        """Push another list; seconds until each node had it, and the connections. ``then``: once the first has it."""
        self.turn += 1
        key = keys.public_key(keys.generate())
        self.mesh.edit("peers/extra.toml", f'public_key = "{key}"\naddresses = ["10.0.0.99"]\n')
        before = self.connections()
        commit = self.mesh.push(f"push {self.turn}")
        began, took = time.monotonic(), dict[str, float]()
        while len(took) < self.nodes and time.monotonic() - began < LONG:
            for name, found in self.applied().items():
                if found == commit and name not in took:
                    took[name] = time.monotonic() - began
                    if then:
                        then()
                        then = None
            time.sleep(0.02)
        missing = [math.inf] * (self.nodes - len(took))
        return [*took.values(), *missing], self.connections() - before


def converge(pushes: int) -> Lines:
    """Measure both ways with each number of nodes; return the table."""
    lines: list[tuple[str, ...]] = [("nodes", "git host", "median", "p95", "last", "asked", "goal", "met")]
    for nodes in SIZES:
        with Lab() as lab, contextlib.ExitStack() as stack:
            world = World(lab, nodes)
            for dog in _watchdogs(world):
                stack.callback(dog.end)
            thread = threading.Thread(target=world.ask)
            thread.start()
            try:
                lines += [_row(world, pushes, killed) for killed in (False, True)]
            finally:
                world.asking.set()
                thread.join()
    return lines


def _row(world: World, pushes: int, killed: bool) -> tuple[str, ...]:
    took, asked = list[float](), list[int]()
    for _ in range(pushes):
        time.sleep(REST)
        found, connections = world.push(world.lab.git.kill if killed else None)
        took += found
        asked.append(connections)
        print(f"converge: {world.nodes} nodes, {max(found):.2f} s, {connections} connections", file=sys.stderr)
        if killed:
            world.lab.git.start()
    took.sort()
    p95, most = took[math.ceil(0.95 * len(took)) - 1], max(asked)
    name = "killed when the first node had it" if killed else "answers"
    met = "yes" if p95 <= 3 and most <= 10 else "NO"
    numbers = (duration(took[len(took) // 2]), duration(p95), duration(took[-1]), f"at most {most}")
    return (str(world.nodes), name, *numbers, "p95 3 s, 10", met)


def _watchdogs(world: World) -> Iterator[Watchdog]:
    dogs = [Watchdog(node) for node in world.mesh.nodes.values()]
    for dog in dogs:
        until(lambda dog=dog: "watching wg0" in dog.said(), LONG, what=dog.said)  # type: ignore[misc]
    for dog in dogs:
        until(lambda dog=dog: dog.all_are("up"), LONG, every=0.5, what=dog.said)  # type: ignore[misc]
    now(world.mesh.nodes["n1"])
    yield from dogs
