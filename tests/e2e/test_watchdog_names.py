"""Names that do not simply say where a peer is, and resolvers that do not simply answer.

One observer, `a`, and many peers that answer but never speak first. All move in the same second, so that every oddity
of one name happens while others have to be found. Six more peers stay, and are talked to: were it fewer, it would seem
to be `a` that is cut off.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from e2e.running_watchdog import Watchdog, peer_in, watching
from lab import Lab
from lab.firewall import NEVER_SPEAKS_FIRST
from lab.host import Host
from lab.logged import LoggedPrograms
from lab.mesh import Mesh, dump
from lab.ping import pinging
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PORT = 51820
RESOLVER = "203.0.113.54"
IN_THE_TUNNEL = "10.0.0.23"
"""A resolver that is one of the peers that move, the one that stays lost; and the first of the list."""
MOVED = {
    "three": 21,  # its name gets three addresses, the right one among them
    "traps": 22,  # and this one addresses that can never be right
    "lost": 23,  # and this one nothing but those: it stays lost
    "gone": 24,  # its name is NXDOMAIN while it moves, and comes back later
    "servfail": 25,  # the resolver fails for its name
    "silence": 26,  # nobody ever answers for its name
    "turning": 27,  # its name has three addresses in ever another order, and it is at none of them
}
STAY = {f"w{number}": 40 + number for number in range(1, 7)}
UNUSED = ("203.0.113.201", "203.0.113.202", "203.0.113.203")
OWN, TUNNEL, LOOPBACK = "203.0.113.11", "10.0.0.41", "127.0.0.1"
SOON = 15
"""Seconds, on a busy machine; less than a round of the search that finds nothing."""
FLOWING = 10
"""Seconds of traffic before the moves: after so long it is a conversation."""


def moved(name: str) -> str:
    return f"203.0.113.{100 + MOVED[name]}"


class World:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.mesh = mesh = Mesh(lab)
        self.asked = lab.directory / "questions"
        resolver = Host("resolver", lab.capsule, lab.directory / "resolver")
        lab._attached(resolver, RESOLVER, None)
        program = Path(__file__).with_name("failing_resolver.py")
        resolver.popen([sys.executable, program, RESOLVER, lab.dns.address, self.asked])
        self.a = mesh.node("a", 11, endpoint=f"{OWN}:{PORT}", persistent_keepalive=0)
        for name, number in {**MOVED, "six": 31, "four": 32}.items():
            mesh.node(name, number, persistent_keepalive=0).nft(NEVER_SPEAKS_FIRST)
        for name, number in STAY.items():
            mesh.node(name, number, persistent_keepalive=0)
        for name in ("six", "four"):  # both have both families
            number = 31 if name == "six" else 32
            lab.dns.set(f"{name}.example", f"203.0.113.{number}", f"2001:db8::{number}")
        mesh.push()
        mesh.now()
        self.keys = {name: self.key(name) for name in mesh.nodes}
        self.a.run(["wg", "set", "wg0", "peer", self.keys["six"], "endpoint", f"[2001:db8::31]:{PORT}"])
        self.a.run(["wg", "set", "wg0", "peer", self.keys["four"], "endpoint", f"203.0.113.32:{PORT}"])
        self.a.set_resolvers(IN_THE_TUNNEL, RESOLVER)

    def key(self, name: str) -> str:
        return dump(self.mesh.nodes[name])[""]["public_key"]

    def endpoint(self, name: str) -> str:
        return dump(self.a)[self.keys[name]]["endpoint"]

    def move(self) -> None:
        set_ = self.lab.dns.set
        for name in MOVED:
            node = self.mesh.nodes[name]
            node.renumber(moved(name))
        self.mesh.nodes["six"].port.block("ipv6")
        self.mesh.nodes["four"].port.block("ipv4")
        set_("three.example", UNUSED[0], moved("three"), UNUSED[1])
        set_("traps.example", OWN, TUNNEL, LOOPBACK, moved("traps"))
        set_("lost.example", OWN, TUNNEL, LOOPBACK)
        set_("turning.example", *UNUSED, ttl=1)
        for name in ("servfail", "silence"):
            set_(f"{name}.example", moved(name))
        self.lab.dns.remove("gone.example")


class Story:
    """What happened, told by the observer's status and by all it asked of `wg`."""

    def __init__(self, world: World, watchdog: Watchdog, logged: LoggedPrograms) -> None:
        self.world = world
        self.watchdog = watchdog
        self.at = time.monotonic()
        world.move()
        self.moved = time.monotonic()
        self.took: dict[str, float] = {}
        self._wait(("three", "traps"), 30)
        self._wait(("six", "four"), 40)
        self.before_it_came_back = watchdog.shown()
        world.lab.dns.set("gone.example", moved("gone"))
        self.moved = time.monotonic()
        self._wait(("gone",), 40)
        self.shown: dict[str, Any] = watchdog.shown()
        self.questions = world.asked.read_text().splitlines()
        self.writes = [call for call in logged.calls() if call.startswith("wg set")]
        print(f"found again after: { {name: round(seconds, 1) for name, seconds in self.took.items()} }")

    def _wait(self, names: tuple[str, ...], seconds: float) -> None:
        until(lambda: self._found(names), seconds, what=lambda: (names, self.took, self.watchdog.said()))

    def _found(self, names: tuple[str, ...]) -> bool:
        for peer in self.watchdog.written()["peers"]:
            if peer["name"] in names and peer["state"] == "up" and peer["switches"]:
                self.took.setdefault(peer["name"], time.monotonic() - self.moved)
        return all(name in self.took for name in names)

    def peer(self, name: str) -> dict[str, Any]:
        return peer_in(self.shown, name)

    def tried(self, name: str) -> list[str]:
        """All endpoints that the peer was ever given."""
        words = [call.split() for call in self.writes]
        pairs = [(line[i + 1], line[i + 3]) for line in words for i, word in enumerate(line) if word == "peer"]
        return [endpoint for key, endpoint in pairs if key == self.world.keys[name]]


@pytest.fixture(scope="module")
def story(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    world = World(lab)
    logged = LoggedPrograms(tmp_path_factory.mktemp("logged"))
    with ExitStack() as stack:
        watchdog = stack.enter_context(watching(world.a, logged.env))
        until(lambda: watchdog.all_are("up"))
        numbers = [*MOVED.values(), 31, 32, *STAY.values()]
        pings = stack.enter_context(pinging(world.a, *(f"10.0.0.{number}" for number in numbers), interval=0.5))
        since = time.time() + FLOWING
        for ping in pings:
            ping.flows(since, FLOWING + 5)
        logged.calls()
        yield Story(world, watchdog, logged)


def test_of_three_addresses_the_one_that_works_is_found(story: Story) -> None:
    assert story.took["three"] < SOON
    assert story.world.endpoint("three") == f"{moved('three')}:{PORT}"


def test_a_black_hole_in_one_family_is_left_for_the_other(story: Story) -> None:
    """The names did not change, so nothing says that the peer moved: it is looked for after 15 s."""
    assert story.world.endpoint("six") == f"203.0.113.31:{PORT}"
    assert story.world.endpoint("four") == f"[2001:db8::32]:{PORT}"
    assert max(story.took["six"], story.took["four"]) < 15 + SOON


def test_our_own_address_one_in_the_tunnel_and_loopback_are_never_tried(story: Story) -> None:
    assert story.took["traps"] < SOON
    assert story.world.endpoint("traps") == f"{moved('traps')}:{PORT}"
    assert story.peer("lost")["state"] == "hunted"
    every = [endpoint for name in MOVED for endpoint in story.tried(name)]
    assert moved("three") in {endpoint.rpartition(":")[0] for endpoint in every}
    for endpoint in every:
        assert not endpoint.startswith((f"{OWN}:", "10.0.0.", "127.")), endpoint


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("gone", "the name does not exist"),
        ("servfail", "SERVFAIL"),
        ("silence", "the resolver does not answer"),
    ],
)
def test_a_name_without_an_answer_costs_only_its_own_peer_and_says_why(story: Story, name: str, problem: str) -> None:
    peer = peer_in(story.before_it_came_back, name)
    assert peer["state"] == "hunted"
    [known] = peer["dns"]
    assert problem in known["problem"]
    assert known["addresses"] == [f"203.0.113.{MOVED[name]}"]  # the old answer is kept
    assert set(story.tried(name)) <= {f"203.0.113.{MOVED[name]}:{PORT}", f"{moved(name)}:{PORT}"}


def test_a_name_that_comes_back_brings_its_peer_back(story: Story) -> None:
    assert story.took["gone"] < 30
    assert story.world.endpoint("gone") == f"{moved('gone')}:{PORT}"


def test_another_order_is_no_news(story: Story) -> None:
    """Each address once when it is new, and again in every round of the hunt; not with every answer."""
    until(lambda: story.watchdog.peer("turning")["dns"][0]["queries"] >= 4, 40)
    [known] = story.peer("turning")["dns"]
    assert known["addresses"] == sorted(UNUSED)
    rounds = 3  # at 15, 30 and 60 s
    everything = len(UNUSED) + 1 + 1  # and where it was, and the way back
    assert len(story.tried("turning")) <= everything * (rounds + 1)


def test_a_resolver_in_the_dead_tunnel_is_not_asked(story: Story) -> None:
    """It is the first of the list; everything above was found without losing a second to it."""
    assert story.questions
    assert story.took["three"] < SOON
    story.world.a.set_resolvers(IN_THE_TUNNEL)
    story.world.a.ip("address add 203.0.113.250/24 dev eth0")  # our own news: all names are asked again at once
    until(lambda: "except through a peer" in str(story.watchdog.peer("servfail")["dns"][0]["problem"]))


def test_those_who_stayed_were_not_touched(story: Story) -> None:
    for name in STAY:
        assert (story.peer(name)["state"], story.peer(name)["writes"]) == ("up", 0)
    assert not {f"{name}.example." for name in STAY} & set(story.questions)
