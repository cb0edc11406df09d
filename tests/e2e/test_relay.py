"""Two sites that cannot meet: their packets go through a relay, through another when that dies, and directly again."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from e2e.watched_mesh import WatchedMesh
from lab import Lab
from lab.mesh import dump, now_json, status
from lab.nat import EASY, HARD
from lab.node import Node
from lab.ping import first_answer, reachability, steady_ping
from lab.waiting import until
from mesh_sync.wireguard.relays import in_order

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

A, B = "10.0.0.11", "10.0.0.12"
CUT = """table inet cut {
    chain forward {
        type filter hook forward priority -1
        ip daddr 203.0.113.42 drop
        ip saddr 203.0.113.42 drop
    }
}"""
"""Nothing passes between a's router and b's."""
LONG = 120
"""Seconds for what takes a few on a machine with nothing else to do."""


class World(WatchedMesh):
    """Sites a and b, behind NATs that give every destination another port; relays r and s, and z, out in the open."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        mesh = self.mesh
        self.sites = {
            "a": lab.site("a", "192.168.1.0/24", "203.0.113.41", nat=HARD),
            "b": lab.site("b", "192.168.2.0/24", "203.0.113.42", nat=HARD),
        }
        mesh.enlist("a", self.sites["a"].gateway, address=A, subnets=["192.168.1.0/24"])
        mesh.enlist("b", self.sites["b"].gateway, address=B)
        for site in self.sites.values():
            mesh.configure(site.gateway, gateway={})
        for number, name in enumerate("rs", start=21):
            mesh.node(name, number, relay=True)
        mesh.node("z", 23)
        mesh.push("two hidden sites, two relays")

    def holder(self, node: str, address: str) -> str:
        """The peer that has this address on the node's interface."""
        found = dump(self.mesh.nodes[node])
        names = {key: name for name, key in self.keys.items() if name != node}
        return next(
            (names[key] for key, one in found.items() if key and f"{address}/32" in one["allowed_ips"].split(",")), ""
        )

    def passes_by(self, relay: str) -> bool:
        """Whether a and b send each other's packets to this peer."""
        return (self.holder("a", B), self.holder("b", A)) == (relay, relay)

    @property
    def relay(self) -> str:
        """The relay by which both send; empty when there is none, or they do not agree (yet)."""
        return next((relay for relay in in_order("a", "b", ("r", "s")) if self.passes_by(relay)), "")

    def is_direct(self) -> bool:
        return (self.holder("a", B), self.holder("b", A)) == ("b", "a")

    def in_sync(self) -> None:
        """Nothing of this is drift, and a run of mesh-sync does not undo it."""
        for name in "ab":
            node = self.mesh.nodes[name]
            assert status(node)["drift"] == []
            assert now_json(node)["changes"] == []

    @property
    def a(self) -> Node:
        return self.mesh.nodes["a"]


def pings(node: Node, address: str) -> bool:
    return reachability([(node, address)])[node.name, address]


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with World(lab) as made:
        yield made


def test_sites_that_cannot_meet_reach_each_other_through_the_relay_that_both_choose(world: World) -> None:
    until(lambda: world.relay, LONG, what=world.said)
    first_answer(world.a, B)
    world.in_sync()


def test_status_says_by_whom_and_what_is_known(world: World) -> None:
    relay = world.relay
    until(lambda: world.state("a", "b") == "relayed", LONG, what=world.said)
    assert world.watchdogs["a"].peer("b")["relay"] == relay
    text = world.a.run(["mesh-watchdog", "status"]).stdout
    assert f"relayed by {relay}" in text
    assert f"b: no direct path; {relay} saw it" in text
    [shown] = [peer for peer in status(world.a)["peers"] if peer["name"] == "b"]
    assert (shown["state"], shown["relay"]) == ("relayed", relay)
    assert f"relayed by {relay}" in world.a.run(["mesh-sync", "status"]).stdout


def test_a_push_in_between_changes_nothing_of_it(world: World) -> None:
    relay = world.relay
    world.mesh.set("z", subnets=["192.168.23.0/24"])
    world.mesh.set("b", subnets=["192.168.2.0/24"])
    world.mesh.push("networks behind z, and behind b, which is relayed")
    world.mesh.now()
    assert world.passes_by(relay)
    assert world.holder("a", "10.0.0.23") == "z"
    carried = world.dump("a", relay)["allowed_ips"]
    assert "192.168.2.0/24" in carried.split(",")
    first_answer(world.a, B)
    first_answer(world.sites["a"].host, "192.168.2.10")
    world.in_sync()


def test_a_watchdog_that_is_restarted_leaves_it_so(world: World) -> None:
    relay = world.relay
    world.restart("a")
    until(lambda: world.state("a", "b") == "relayed", LONG, what=world.said)
    assert world.watchdogs["a"].peer("b")["relay"] == relay
    assert world.passes_by(relay)


def test_when_the_relay_dies_the_other_one_carries(world: World) -> None:
    relay = world.relay
    other = "s" if relay == "r" else "r"
    dead = world.mesh.nodes[relay]
    first_answer(world.a, B)
    with steady_ping(world.a, B, interval=0.2) as loss:
        time.sleep(5)
        dead.ip("link set eth0 down")
        until(lambda: world.passes_by(other), LONG, what=world.said)
        first_answer(world.a, B)
    print(f"the relay died: {loss.longest_silence:.1f} s without an answer")
    world.in_sync()
    dead.ip("link set eth0 up")


def test_when_they_can_meet_they_do_so_directly(world: World) -> None:
    for site in world.sites.values():
        site.router.translate(EASY)
    until(world.is_direct, LONG, what=world.said)
    first_answer(world.a, B)
    until(lambda: world.state("a", "b") == "up", LONG, what=world.said)
    world.in_sync()


def test_when_that_ends_they_are_relayed_again(world: World) -> None:
    with steady_ping(world.a, B, interval=0.2) as loss:
        time.sleep(5)
        world.sites["a"].router.nft(CUT)
        until(lambda: not world.is_direct() and pings(world.a, B), LONG, what=world.said)
    print(f"from the direct path to a relay: {loss.longest_silence:.1f} s without an answer")


def test_without_relays_on_the_list_nothing_is_left_of_it(world: World) -> None:
    for name in "rs":
        world.mesh.set(name, relay=None)
    world.mesh.push("no relays")
    world.mesh.now()
    assert world.is_direct()
    until(lambda: world.state("a", "b") != "relayed", LONG, what=world.said)
    assert world.is_direct()
    world.in_sync()
