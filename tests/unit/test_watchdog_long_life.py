"""The life of a whole mesh: nodes that come, go, move and restart, and a network that falls apart and heals.

No pair is lost for good, and neither what is believed nor what is sent grows. As a mesh in which all peers are
watched, and as a large one. MESH_SIM=NODES,HOURS makes more of it.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator

import pytest
from attrs import define, field

from mesh_watchdog.policy import crowd
from mesh_watchdog.policy.observations import Declared
from sim import Node, World, at, declared

pytestmark = pytest.mark.timeout(600)

NODES, HOURS = (float(text) for text in os.environ.get("MESH_SIM", "8,0.5").split(","))
MOMENT = 45.0
"""Seconds between two things that happen."""
LONGEST = 900.0
"""Seconds after which what is off is on again."""
FOUND = 420.0
"""Seconds within which all pairs talk to each other once all is well: one wait of R10 or R11, and what it takes."""
SENT = 1.0
"""WireGuard's packets in a second that a node sends to a peer, on the average of all its life; kept alive and asked
twice in 25 s it is 0.2."""


@define(eq=False)
class Life:
    """A mesh of nodes with watchdogs; every third is behind a NAT, and has no endpoint in the list."""

    seed: int
    world: World = field(init=False)
    chance: random.Random = field(init=False)
    nodes: list[Node] = field(factory=list)
    moves: int = 0

    def __attrs_post_init__(self) -> None:
        self.world, self.chance = World(self.seed), random.Random(self.seed)
        for number in range(int(NODES)):
            name, address = f"n{number}", f"198.18.{number // 250}.{number % 250 + 1}"
            self.nodes.append(self.world.node(name, address, nat=self.is_hidden(number)))
            self.world.zone.set(f"{name}.example", [address])
        peers = {node.name: self.listed(number) for number, node in enumerate(self.nodes)}
        for node in self.nodes:
            for number, other in enumerate(self.nodes):
                if other is not node:
                    where = "" if self.is_hidden(number) else at(other.site.public[4])
                    node.connect(other.name, where, 25.0 if node.site.nat and where else 0.0)
            node.watch({name: peer for name, peer in peers.items() if name != node.name})

    def is_hidden(self, number: int) -> bool:
        return number % 3 == 2

    def listed(self, number: int) -> Declared:
        return declared(f"n{number}", [] if self.is_hidden(number) else [f"n{number}.example"])

    def happen(self) -> None:
        """One thing happens to one node, or to the network."""
        node, clock = self.chance.choice(self.nodes), self.world.clock
        back = self.chance.uniform(5.0, LONGEST)
        self.moves += 1
        match self.chance.choice(["off", "move", "restart", "uplink", "apart", "loss", "talk", "talk", "dns"]):
            case "off":
                node.interface = False
                clock.after(back, lambda: setattr(node, "interface", True))
            case "move":
                self.move(node)
            case "restart":
                node.restart()
            case "uplink":
                node.site.upstream = False
                clock.after(back, lambda: setattr(node.site, "upstream", True))
            case "apart":
                half = self.chance.sample(self.nodes, len(self.nodes) // 2)
                self.world.underlay.island = {id(each.site) for each in half}
                clock.after(back, self.world.underlay.island.clear)
            case "loss":
                self.world.underlay.loss = 0.2
                clock.after(60.0, lambda: setattr(self.world.underlay, "loss", 0.0))
            case "talk":
                other = self.chance.choice(self.nodes)
                for turn in range(60):
                    clock.after(turn, lambda: node.ping(other.name))
            case "dns":
                node.resolver.trouble = "timeout"
                clock.after(back, lambda: setattr(node.resolver, "trouble", ""))

    def move(self, node: Node) -> None:
        address = f"198.19.{self.moves // 250}.{self.moves % 250 + 1}"
        node.site.renumber({4: address}, gagged=self.chance.random() < 0.3)
        self.world.zone.set(f"{node.name}.example", [address])
        if self.chance.random() < 0.7:
            node.moved()

    def mend(self) -> None:
        self.world.run(LONGEST)
        self.world.underlay.loss = 0.0
        self.world.underlay.island.clear()
        for node in self.nodes:
            node.pongs.clear()

    def sizes(self) -> list[int]:
        return [len(repr(node.state)) for node in self.nodes]

    def unheard(self) -> Iterator[tuple[str, str]]:
        for one, other in itertools.permutations(self.nodes, 2):
            if other.name not in one.pongs:
                yield one.name, other.name


@pytest.mark.parametrize("large", [False, True], ids=["all watched", "large"])
def test_no_pair_is_lost_for_good_and_nothing_grows(large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if large:
        monkeypatch.setattr(crowd, "LARGE", int(NODES) // 2)
    life = Life(7 + large)
    life.world.run(120)
    before = max(life.sizes())
    while life.world.clock.now < HOURS * 3600:
        life.world.run(life.chance.uniform(0, 2 * MOMENT))
        life.happen()
    assert max(life.sizes()) < 3 * before
    assert life.world.underlay.sent / life.world.clock.now < SENT * len(life.nodes) * (len(life.nodes) - 1)
    life.mend()
    for _ in range(int(FOUND / 10)):
        for one, other in list(life.unheard()):
            life.world.nodes[one].ping(other)
        life.world.run(10)
        if not list(life.unheard()):
            break
    assert not list(life.unheard())
