"""A site behind an easy NAT and one behind a hard one, with watchdogs that may send packets to many ports."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from e2e.running_watchdog import endpoint
from e2e.watched_mesh import WatchedMesh
from lab import Lab
from lab.mesh import now_json, status
from lab.nat import EASY, HARD
from lab.node import Node
from lab.ping import first_answer
from lab.waiting import until
from mesh_sync.wireguard.port_rewriting import Rewriting, commands, parse

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

EASY_SITE, HARD_SITE = "10.0.0.21", "10.0.0.22"
LONG = 120
"""Seconds for what takes a few on a machine with nothing else to do."""


class World(WatchedMesh):
    """Two public nodes r and s, of which r relays, and two sites at providers of their own: easy and hard."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.mesh.node("r", 11, relay=True)
        self.mesh.node("s", 12)
        for number, (name, nat) in enumerate({"easy": EASY, "hard": HARD}.items(), start=1):
            line = lab.provider(f"isp-{name}")
            site = lab.site(name, f"192.168.{number}.0/24", str(line.network.v4[7]), nat=nat, at=line)
            self.mesh.enlist(name, site.gateway, address=f"10.0.0.{20 + number}")
        self.mesh.push("two sites, two public nodes")

    @property
    def hard(self) -> Node:
        return self.mesh.nodes["hard"]

    @property
    def easy(self) -> Node:
        return self.mesh.nodes["easy"]

    def rules(self) -> list[Rewriting]:
        return list(parse(self.hard.run(["nft", "-s", "list", "ruleset"]).stdout))

    def is_direct(self) -> bool:
        """Whether the two have each other's allowed IPs themselves, and hear each other."""
        ends = [("easy", "hard", HARD_SITE), ("hard", "easy", EASY_SITE)]
        placed = [f"{address}/32" in self.dump(at, of)["allowed_ips"].split(",") for at, of, address in ends]
        return all(placed) and all(self.state(at, of) == "up" for at, of, _ in ends)


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with World(lab) as made:
        yield made


def test_by_default_they_are_relayed(world: World) -> None:
    until(lambda: world.state("easy", "hard") == "relayed" == world.state("hard", "easy"), LONG, what=world.said)
    until(lambda: world.watchdogs["hard"].written().get("nat") == "hard", LONG, what=world.said)
    until(lambda: world.watchdogs["easy"].written().get("nat") == "easy", LONG, what=world.said)
    first_answer(world.hard, EASY_SITE)
    assert world.rules() == []


def test_when_both_take_part_they_meet_at_one_of_many_ports(world: World) -> None:
    for name in ("easy", "hard"):
        world.mesh.configure(world.mesh.nodes[name], nat={"birthday": True})
    for _ in range(3):  # one round of 50 fails, and the next one would be made after ten minutes
        world.restart("easy", "hard")
        began = time.monotonic()
        until(lambda: world.is_direct() or "is not met by packets" in world.said(), LONG, what=world.said)
        if world.is_direct():
            break
    print(f"direct after {time.monotonic() - began:.1f} s")
    assert world.is_direct(), world.said()
    first_answer(world.hard, EASY_SITE)
    first_answer(world.easy, HARD_SITE)
    [rule] = world.rules()
    assert rule.endpoint == world.dump("hard", "easy")["endpoint"]
    assert endpoint(world.easy, world.keys["hard"]).startswith("198.18.1.7:")
    assert world.watchdogs["hard"].peer("easy")["source"] == "birthday"


def test_the_table_is_no_drift(world: World) -> None:
    for node in (world.hard, world.easy):
        assert status(node)["drift"] == []
        assert now_json(node)["changes"] == []
    assert len(world.rules()) == 1
    assert world.is_direct()


def test_a_watchdog_that_is_restarted_leaves_what_carries_a_session(world: World) -> None:
    rules = world.rules()
    world.watchdogs["hard"].end()
    assert world.rules() == rules
    world.start("hard")
    until(lambda: world.state("hard", "easy") == "up", LONG, what=world.said)
    assert world.rules() == rules
    first_answer(world.hard, EASY_SITE)


def test_the_table_goes_with_the_peer(world: World) -> None:
    world.mesh.remove("easy")
    world.mesh.push("without the site behind the easy NAT")
    world.mesh.now("hard")
    until(lambda: world.rules() == [], LONG, what=world.said)


def test_down_takes_the_table_away(world: World) -> None:
    table = "\n".join(commands("wg0", [Rewriting("198.18.0.7:51820", 40001, 51820)]))
    world.watchdogs["hard"].end()
    world.hard.nft(table)
    assert len(world.rules()) == 1
    world.hard.run(["mesh-sync", "down"])
    assert world.rules() == []
