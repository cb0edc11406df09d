"""Canaries: who applies a new commit first, what the others wait for, and for how long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from e2e.running_watchdog import Watchdog, watching
from lab import Lab
from lab.mesh import WORK, Mesh, now, now_json, status
from lab.ping import first_answer
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SOON = 60
LONG = 3600
"""Seconds: no test waits for the end of it."""


class World:
    """a is the canary; b and c wait for it. Each runs its watchdog."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        self.mesh = mesh = Mesh(lab)
        for number, name in enumerate("abc", start=21):
            mesh.node(name, number)
        mesh.set("a", tags=["first"])
        mesh.set_mesh(rollout={"canary": ["first"], "wait": LONG})
        mesh.push("three peers")
        mesh.now()
        for address in ("10.0.0.21", "10.0.0.23"):
            first_answer(mesh.nodes["b"], address)
        self.watchdogs: dict[str, Watchdog] = {name: stack.enter_context(watching(mesh.nodes[name])) for name in "abc"}

    def waits(self, name: str) -> bool:
        """Run `now` on a node that has a new commit before it; whether it waits."""
        found = now_json(self.mesh.nodes[name])
        assert found["result"] in ("in-sync", "applied")
        return bool(found["commit"] != found["remote_commit"])

    def follows(self, *names: str) -> None:
        """These come to the newest commit, one run after the other."""
        for name in names:
            until(lambda name=name: not self.waits(name), SOON, what=lambda: now(self.mesh.nodes["b"]).stdout)  # type: ignore[misc]


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(lab, stack)


def push(world: World, mtu: int) -> str:
    world.mesh.set("c", mtu=mtu)
    return world.mesh.push(f"mtu {mtu}")


def test_the_others_wait_until_the_canary_has_confirmed(world: World) -> None:
    before = status(world.mesh.nodes["b"])["commit"]
    commit = push(world, 1400)
    assert world.waits("b")
    assert world.waits("c")
    found = status(world.mesh.nodes["b"])
    assert (found["commit"], found["held_commit"], found["drift"]) == (before, commit, [])
    assert "waits for the nodes that apply it first" in now(world.mesh.nodes["b"]).stdout
    assert not world.waits("a"), "it waits for no one"
    world.follows("b", "c")
    assert [status(world.mesh.nodes[name])["held_commit"] for name in "bc"] == [None, None]


def test_what_is_waited_for_is_what_the_list_before_says(world: World) -> None:
    """A commit that takes the canaries away waits for them all the same; the one after it does not."""
    world.mesh.set_mesh(rollout=None)
    world.mesh.push("no canaries")
    assert world.waits("b")
    world.follows("a", "b", "c")
    push(world, 1390)
    assert not world.waits("b")
    world.mesh.set_mesh(rollout={"canary": ["first"], "wait": LONG})
    world.mesh.push("canaries again")
    world.mesh.now()


def test_a_commit_that_renames_a_canary_waits_for_it_under_its_new_name(world: World) -> None:
    world.mesh.operator.run(["mesh-sync", "peer", "rename", "a", "zurich", "-C", WORK])
    world.mesh.push("a is zurich")
    assert world.waits("b")
    world.follows("a", "b", "c")


def test_a_canary_that_says_nothing_costs_no_more_than_the_wait(world: World) -> None:
    world.mesh.set_mesh(rollout={"canary": ["first"], "wait": 8})
    world.mesh.push("a shorter wait")
    world.follows("a", "b", "c")
    world.watchdogs["a"].end()
    push(world, 1380)
    began = time.monotonic()
    assert world.waits("b")
    world.follows("b")
    assert time.monotonic() - began >= 7
