"""A LAN with two gateways: traffic goes by the first, by the second while that is dead, and back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from e2e.exit_lab import becomes_seen, seen_from, serve
from e2e.watched_mesh import WatchedMesh
from lab import Lab
from lab.mesh import dump, now_json, status
from lab.node import Node
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

LAN, HOST = "192.168.1.0/24", "192.168.1.10"
FIRST, SECOND = "192.168.1.2", "192.168.1.3"
LONG = 120
"""Seconds for what takes some twenty on a machine with nothing else to do."""


class World(WatchedMesh):
    """The gateways `one` and `two` of a LAN, which masquerade; `x`, which has a watchdog, and `y`, which has none."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        mesh = self.mesh
        self.site = site = lab.site("lan", LAN, "203.0.113.21")
        mesh.enlist("one", site.gateway, address="10.0.0.11", endpoint="203.0.113.21:51820", subnets=[LAN], priority=20)
        mesh.enlist("two", lab.beside(site, "two", 3), address="10.0.0.12", subnets=[LAN], priority=10)
        for name in ("one", "two"):
            mesh.configure(mesh.nodes[name], gateway={"masquerade": "eth0"})
        self.x, self.y = mesh.node("x", 31), mesh.node("y", 32)
        mesh.push("two gateways")
        serve(site.host)

    def start(self, *names: str) -> None:
        super().start(*(name for name in names if name != "y"))

    def holder(self, at: str) -> str:
        """The gateway that has the LAN on the interface of a node; empty where none has."""
        found = dump(self.mesh.nodes[at])
        names = {key: name for name, key in self.keys.items() if name != at}
        return ",".join(names[key] for key, one in found.items() if key and LAN in one["allowed_ips"].split(","))

    def in_sync(self, *names: str) -> None:
        """Nothing of this is drift, and a run of mesh-sync does not undo it."""
        for name in names:
            before = self.holder(name)
            assert status(self.mesh.nodes[name])["drift"] == []
            assert now_json(self.mesh.nodes[name])["changes"] == []
            assert self.holder(name) == before


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with World(lab) as made:
        yield made


def carried_by(node: Node) -> str:
    [gateway] = status(node)["gateways"]
    assert (gateway["network"], set(gateway["peers"])) == (LAN, {"one", "two"})
    by: str = gateway["carried_by"]
    return by


def test_the_first_is_used_while_both_are_there(world: World) -> None:
    for node in (world.x, world.y):
        assert becomes_seen(node, HOST, [FIRST], seconds=LONG) == FIRST
        assert carried_by(node) == "one"
    until(lambda: world.state("x", "two") == "up", LONG, what=world.said)
    world.in_sync("x", "y", "one", "two")


def test_neither_gateway_sends_its_lan_to_the_other(world: World) -> None:
    for name in ("one", "two"):
        assert world.holder(name) == ""
        routes = world.mesh.nodes[name].run(["ip", "route", "show", LAN]).stdout
        assert "dev eth0" in routes
        assert "dev wg0" not in routes
        assert status(world.mesh.nodes[name])["gateways"] == []


def test_the_second_takes_over_when_the_first_is_dead(world: World) -> None:
    world.site.gateway.port.unplug()
    began = time.monotonic()
    assert becomes_seen(world.x, HOST, [SECOND], seconds=LONG) == SECOND
    print(f"the second has taken over after {time.monotonic() - began:.1f} s")
    assert world.holder("x") == carried_by(world.x) == "two"
    world.in_sync("x")


def test_what_is_used_and_what_was_the_first_choice_is_shown(world: World) -> None:
    assert f"{LAN}: sent to two, the first choice is one of one, two" in world.x.run(["mesh-sync", "status"]).stdout
    until(lambda: f"{LAN} is sent to two; the first choice is one" in shown(world.x), LONG, what=world.said)
    assert f"two is sent what is for {LAN}, as one is not heard" in world.said()


def shown(node: Node) -> str:
    return node.run(["mesh-watchdog", "status"]).stdout


def test_without_a_watchdog_it_stays_the_first(world: World) -> None:
    assert world.holder("y") == "one"
    assert seen_from(world.y, HOST) == ""
    world.in_sync("y")


def test_a_watchdog_that_is_started_again_leaves_it_there(world: World) -> None:
    world.restart("x")
    until(lambda: world.state("x", "two") == "up", LONG, what=world.said)
    assert world.holder("x") == "two"


def test_the_first_gets_it_back_when_it_is_alive_again(world: World) -> None:
    world.site.gateway.port.plug()
    assert becomes_seen(world.x, HOST, [FIRST], seconds=LONG) == FIRST
    assert world.holder("x") == carried_by(world.x) == "one"
    assert becomes_seen(world.y, HOST, [FIRST], seconds=LONG) == FIRST
    world.in_sync("x", "y")


def test_another_order_of_the_list_counts_at_once_everywhere(world: World) -> None:
    world.mesh.set("two", priority=30)
    world.mesh.push("two comes first")
    for name in ("y", "x", "one", "two"):
        now_json(world.mesh.nodes[name])
    assert world.holder("y") == world.holder("x") == "two"
    for node in (world.x, world.y):
        assert becomes_seen(node, HOST, [SECOND], seconds=LONG) == SECOND
    world.in_sync("x", "y", "one", "two")


def test_one_that_leaves_the_list_leaves_it_all_to_the_other(world: World) -> None:
    world.mesh.set("two", enabled=False)
    world.mesh.push("two is off")
    for name in ("y", "x", "one"):
        now_json(world.mesh.nodes[name])
    assert status(world.x)["gateways"] == []
    assert world.holder("y") == world.holder("x") == "one"
    assert becomes_seen(world.y, HOST, [FIRST], seconds=LONG) == FIRST
