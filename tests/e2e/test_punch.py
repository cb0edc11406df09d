"""Sites behind NATs without a forwarded port: they meet directly, with the help of a public peer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from itertools import permutations

import pytest

from e2e.running_watchdog import Watchdog, endpoint, watching
from lab import Lab
from lab.mesh import Mesh, key_of
from lab.nat import EASY, HARD, Nat
from lab.network import Site
from lab.node import Node
from lab.ping import first_answer, pinging
from lab.segment import Line
from lab.waiting import until

pytestmark = pytest.mark.e2e

PATIENCE = 90
"""Seconds; it takes one or two, on a machine that has time."""


class Sites:
    """A public node r, and sites behind NATs at two providers, whose gateways are peers without an endpoint."""

    def __init__(self, lab: Lab, stack: contextlib.ExitStack, *nats: Nat, carriers: bool = False) -> None:
        self.lab, self.stack = lab, stack
        self.mesh = mesh = Mesh(lab)
        mesh.node("r", 11)
        self.sites: dict[str, Site] = {}
        self.lines: dict[str, Line] = {}
        for number, nat in enumerate(nats):
            name = "abcd"[number]
            line, address = lab.provider(f"isp-{name}"), f"198.18.{number}.7"
            self.lines[name] = line
            if carriers:
                line, address = lab.carrier(f"cgn-{name}", address, nat, at=line).line, "100.64.0.7"
            site = lab.site(name, f"192.168.{number + 1}.0/24", address, at=line, nat=EASY if carriers else nat)
            self.sites[name] = site
            mesh.enlist(name, site.gateway, address=f"10.0.0.{21 + number}")
        mesh.push("a mesh")
        self.watchdogs: dict[str, Watchdog] = {}

    def begin(self) -> None:
        """Every node applies the list, with its watchdog running."""
        for name, node in self.nodes.items():
            self.watchdogs[name] = self.stack.enter_context(watching(node))
        self.mesh.now()

    @property
    def nodes(self) -> dict[str, Node]:
        return self.mesh.nodes

    def outside(self, name: str) -> str:
        """The network in which others see a site."""
        return f"198.18.{'abcd'.index(name)}"

    def met(self, one: str, other: str) -> bool:
        """Whether the one reaches the other, at the address of its NAT."""
        found = endpoint(self.nodes[one], key_of(self.nodes[other]))
        states = {peer["name"]: peer["state"] for peer in self.watchdogs[one].written()["peers"]}  # at first, none
        return states.get(other) == "up" and found.startswith(self.outside(other) + ".")

    def all_met(self, *names: str) -> bool:
        return all(self.met(one, other) for one, other in permutations(names, 2))


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as opened:
        yield opened


def sites(stack: contextlib.ExitStack, *nats: Nat, carriers: bool = False) -> Sites:
    return Sites(stack.enter_context(Lab()), stack, *nats, carriers=carriers)


@pytest.mark.parametrize("carriers", [False, True], ids=["routers", "carriers"])
@pytest.mark.parametrize("nat", [EASY, EASY.accepting()], ids=["drop", "accept"])
def test_two_sites_behind_nats_meet_directly(stack: contextlib.ExitStack, nat: Nat, carriers: bool) -> None:
    world = sites(stack, nat, nat, carriers=carriers)
    world.begin()
    until(lambda: world.all_met("a", "b"), PATIENCE)
    first_answer(world.nodes["a"], "10.0.0.22")
    first_answer(world.nodes["b"], "10.0.0.21")
    sources = {peer["name"]: peer["source"] for peer in world.watchdogs["a"].shown()["peers"]}
    assert sources["b"] in ("seen", "roamed"), "r sees it there, or b came first"


def test_all_but_one_renumbered_at_once_meet_again_without_dns(stack: contextlib.ExitStack) -> None:
    world = sites(stack, EASY, EASY, EASY)
    world.begin()
    until(lambda: world.all_met("a", "b", "c"), PATIENCE)
    for one, other in permutations("abc", 2):
        stack.enter_context(pinging(world.nodes[one], f"10.0.0.{21 + 'abc'.index(other)}"))
    began = time.monotonic()
    for number, name in enumerate("abc"):
        world.sites[name].router.renumber(f"198.18.{number}.99")

    def found(one: str, other: str) -> bool:
        return endpoint(world.nodes[one], key_of(world.nodes[other])).startswith(f"{world.outside(other)}.99:")

    until(lambda: all(found(one, other) for one, other in permutations("abc", 2)), PATIENCE)
    print(f"all pairs of three renumbered sites after {time.monotonic() - began:.1f} s")
    for one, other in permutations("abc", 2):
        first_answer(world.nodes[one], f"10.0.0.{21 + 'abc'.index(other)}")


@pytest.mark.parametrize("nat", [HARD, HARD.accepting()], ids=["drop", "accept"])
def test_two_sites_behind_hard_nats_meet_by_ipv6_past_their_firewalls(stack: contextlib.ExitStack, nat: Nat) -> None:
    world = sites(stack, nat, nat)
    lans = {name: world.lab.give_ipv6(site, world.lines[name]) for name, site in world.sites.items()}
    world.begin()

    def met(one: str, other: str) -> bool:
        return endpoint(world.nodes[one], key_of(world.nodes[other])).startswith(f"[{lans[other][2]}]:")

    until(lambda: met("a", "b") and met("b", "a"), PATIENCE, what=lambda: world.watchdogs["a"].said())
    first_answer(world.nodes["a"], "10.0.0.22")
    first_answer(world.nodes["b"], "10.0.0.21")


def test_a_hard_nat_is_said_to_be_one_and_left_alone(stack: contextlib.ExitStack) -> None:
    world = sites(stack, HARD, HARD)
    world.mesh.node("s", 12)
    world.mesh.push("another observer")
    world.begin()
    until(lambda: world.watchdogs["a"].written().get("nat") == "hard", PATIENCE)
    until(lambda: world.watchdogs["b"].written().get("nat") == "hard", PATIENCE)
    until(lambda: world.watchdogs["r"].written().get("nat") == "public", PATIENCE)
    assert not world.met("a", "b")
