"""Nodes that ask each other over the tunnel where a third one is, and pass on that it is looked for."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.running_watchdog import Watchdog
from lab import Lab
from lab.mesh import Mesh, key_of, stranger
from lab.node import Node
from lab.ping import first_answer
from lab.waiting import until

pytestmark = pytest.mark.e2e

CALLS = "/run/home/calls"
SOON = 60
"""Seconds; a call takes milliseconds, but it is placed when the watchdog next reads its interface."""


class Calling(Watchdog):
    """A watchdog that places calls on demand."""

    def __init__(self, node: Node) -> None:
        self.calls = node.path(CALLS)
        super().__init__(node, argv=[sys.executable, Path(__file__).with_name("calling_watchdog.py"), CALLS])

    def call(self, about: str, *observers: str, **more: Any) -> None:
        with self.calls.open("a") as file:
            file.write(json.dumps({"about": about, "observers": observers, **more}) + "\n")

    def told(self, kind: str) -> list[dict[str, Any]]:
        found = (json.loads(line) for line in self.said().splitlines() if line.startswith("{"))
        return [each for each in found if each["told"] == kind]


class World:
    def __init__(self, lab: Lab, stack: contextlib.ExitStack) -> None:
        self.mesh = mesh = Mesh(lab)
        for number, name in enumerate("abr", start=11):
            mesh.node(name, number, persistent_keepalive=0)
        self.dead = stranger(mesh, "dead", 99)
        mesh.push()
        mesh.now()
        self.keys = {name: key_of(node) for name, node in mesh.nodes.items()}
        for name in "ab":
            first_answer(mesh.nodes[name], "10.0.0.13")
        self.a, self.b, self.r = (Calling(mesh.nodes[name]) for name in "abr")
        for watchdog in (self.a, self.b, self.r):
            stack.callback(watchdog.end)
            watchdog.ready()
        until(lambda: self.r.all_are("up", "a", "b"), what=self.r.said)


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        yield World(lab, stack)


def test_a_node_learns_where_another_one_sees_it(world: World) -> None:
    own = world.keys["a"]
    world.a.call(own, world.keys["r"])
    until(lambda: world.a.told("Reported"), SOON, what=world.a.said)
    [found] = world.a.told("Reported")
    assert (found["observer"], found["about"]) == (world.keys["r"], own)
    [sighting] = found["sightings"]
    assert sighting == {"endpoint": "203.0.113.11:51820", "age": 0.0, "own": False}


def test_a_call_tells_each_where_the_other_is(world: World) -> None:
    world.b.call(world.keys["b"], world.keys["r"], candidates=["192.168.7.7:51820"])
    until(lambda: world.b.told("Reported"), SOON, what=world.b.said)
    before = len(world.a.told("Reported"))
    world.a.call(world.keys["b"], world.keys["r"], candidates=["[2001:db8::77]:51820", "192.168.5.5:40000"])
    until(lambda: world.b.told("Sought") and len(world.a.told("Reported")) > before, SOON, what=world.a.said)
    [sought] = world.b.told("Sought")
    assert (sought["by"], sought["observer"], sought["relayed"]) == (world.keys["a"], world.keys["r"], False)
    assert places(sought) == [
        ("203.0.113.11:51820", False), ("[2001:db8::77]:51820", True), ("192.168.5.5:40000", True),
    ]  # fmt: skip
    reported = world.a.told("Reported")[-1]
    assert reported["about"] == world.keys["b"]
    assert places(reported) == [("203.0.113.12:51820", False), ("192.168.7.7:51820", True)]


def test_a_relayed_call_says_so(world: World) -> None:
    before = len(world.b.told("Sought"))
    world.a.call(world.keys["b"], world.keys["r"], relayed=True)
    until(lambda: len(world.b.told("Sought")) > before, SOON, what=world.b.said)
    assert world.b.told("Sought")[-1]["relayed"] is True


def test_where_a_peer_was_never_heard_an_observer_knows_of_no_place(world: World) -> None:
    before = len(world.a.told("Reported"))
    world.a.call(world.dead, world.keys["r"])
    until(lambda: len(world.a.told("Reported")) > before, SOON, what=world.a.said)
    assert world.a.told("Reported")[-1]["sightings"] == []


def places(told: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(each["endpoint"], each["own"]) for each in told["sightings"]]
