"""Whatever happens: what the watchdog never does, how much it does at most, and that it finds whoever can be found."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_watchdog.policy.observations import Declared
from sim import Node, World, at, declared

HOUR = 3600.0
LOOKS_AN_HOUR = 720
"""Questions for one name, whatever happens: one every 5 s."""
WRITES_AN_HOUR = 270
"""Endpoints set for one peer, whatever happens: 30 in a row, and one every 15 s."""
OWN = "203.0.113.1"

Event = tuple[float, str, int, int]
KINDS = (
    "renumber", "renumber with dns", "dns", "dns fails", "dns works", "off", "on", "uplink off", "uplink on",
    "own move", "clock", "restart", "interface off", "interface on", "remove", "add", "talk", "hole", "loss",
    "nat forgets", "apply",
)  # fmt: skip
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.7, 2.0, 5.0, 12.0, 40.0, 200.0]),
        st.sampled_from(KINDS),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    max_size=16,
)
calmly = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


class History:
    """A node with four peers, one of each kind, and what happens to them."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.one = self.world.node("a", OWN, "2001:db8::a")
        self.moves = 0
        self.hidden = set[int]()
        self.names = ["plain", "natted", "walled", "watched"]
        self.others = [
            self.world.node(name, f"198.51.{number}.2", f"2001:db8:{number}::2", nat=name == "natted", forward=True)
            for number, name in enumerate(self.names)
        ]
        self.others[2].firewalled = True
        self.world.zone.set("a.example", [OWN])
        for number, name in enumerate(self.names):
            self.world.zone.set(f"{name}.example", self.others[number].site.public.values())
            self.one.connect(name, at(self.others[number].site.public[4]), 25.0 if number == 1 else 0.0)
            self.others[number].connect("a", at(OWN), 25.0 if number == 1 else 0.0)
        self.others[3].watch({"a": declared("a", ["a.example"], at(OWN))})
        self.one.watch(self.declared())
        self.talk = 0
        self.world.clock.every(0.9, self._talk)

    def declared(self) -> dict[str, Declared]:
        return {
            name: declared(name, [f"{name}.example"], at(f"198.51.{number}.2"))
            for number, name in enumerate(self.names)
            if number not in self.hidden
        }

    def _talk(self) -> None:
        for number, name in enumerate(self.names):
            if self.talk >> number & 1:
                self.one.ping(name)

    def happen(self, event: Event) -> None:
        pause, kind, number, value = event
        self.world.run(pause)
        one, other, name, zone = self.one, self.others[number], self.names[number], self.world.zone
        self.moves += 1
        match kind:
            case "renumber" | "renumber with dns":
                address = f"198.18.{number}.{self.moves + 1}"
                other.site.renumber({4: address}, gagged=value % 2 == 0)
                if kind == "renumber with dns":
                    zone.set(f"{name}.example", [address], value * 10.0)
            case "dns":
                zone.set(f"{name}.example", [f"192.0.2.{value + 1}", OWN, "127.0.0.1"][: value % 3 + 1])
            case "dns fails":
                one.resolver.trouble = ["timeout", "SERVFAIL", "NXDOMAIN"][value % 3]
            case "dns works":
                one.resolver.trouble = ""
            case "off" | "on":
                other.site.upstream = kind == "on"
            case "uplink off" | "uplink on":
                one.site.link = kind == "uplink on" or value % 2 == 0
                one.site.upstream = kind == "uplink on"
                one.moved()
            case "own move":
                one.site.renumber({4: f"203.0.113.{self.moves + 2}"})
                one.moved()
            case "clock":
                one.offset += [-HOUR, -5.0, 5.0, HOUR, 1e9, -1e9][value]
            case "restart":
                one.restart()
            case "interface off" | "interface on":
                one.interface = kind == "interface on"
            case "remove":
                self.list_without(number)
            case "add":
                self.list_with(number)
            case "talk":
                self.talk = value * 3 + number
            case "hole":
                self.world.underlay.holes ^= {f"198.51.{number}.2"}
            case "loss":
                self.world.underlay.loss = value / 10
            case "nat forgets":
                other.site.mappings.clear()
            case "apply":
                one.apply(self.declared())

    def list_without(self, number: int) -> None:
        self.hidden.add(number)
        self.one.apply(self.declared())

    def list_with(self, number: int) -> None:
        if number in self.hidden:
            self.hidden.discard(number)
            self.one.connect(self.names[number], at(f"198.51.{number}.2"))
            self.one.apply(self.declared())

    def mend(self) -> None:
        """All is well from now on: everybody is where DNS says, and every link works."""
        for number, name in enumerate(self.names):
            self.list_with(number)
            self.others[number].site.upstream = True
            self.world.zone.set(f"{name}.example", self.others[number].site.public.values())
        self.world.zone.set("a.example", self.one.site.public.values())
        self.world.underlay.holes.clear()
        self.world.underlay.loss = 0.0
        self.one.resolver.trouble = ""
        self.one.interface = self.one.site.link = self.one.site.upstream = True
        self.one.moved()


def worst_hour(moments: Iterable[float]) -> int:
    found = sorted(moments)
    return max((sum(start <= moment < start + HOUR for moment in found) for start in found), default=0)


def within_bounds(node: Node) -> None:
    hosts = Counter(host for _, host in node.looks)
    for host in hosts:
        times = [moment for moment, asked in node.looks if asked == host]
        assert worst_hour(times) <= LOOKS_AN_HOUR
    for key in {write.key for write in node.writes}:
        assert worst_hour(write.moment for write in node.writes if write.key == key) <= WRITES_AN_HOUR


@calmly
@given(EVENTS, st.integers(0, 99))
def test_no_history_makes_it_do_harm_and_every_peer_is_found_in_the_end(events: list[Event], seed: int) -> None:
    """`World.run` checks every action: no write to a live peer, none for a key that is not in the applied state."""
    history = History(seed)
    history.world.run(20)
    for event in events:
        history.happen(event)
    history.world.run(100)
    history.mend()
    replayed = any(kind == "clock" and value in (0, 1, 5) for _, kind, _, value in events)
    history.world.run(331)
    within_bounds(history.one)
    within_bounds(history.others[3])
    if not replayed:  # with the clock set back its handshakes are ignored, whatever it does
        for number, name in enumerate(history.names):
            assert history.one.phase(name) == "up", (name, history.one.notes)
            assert history.one.tunnels[name].endpoint in map(at, history.others[number].site.public.values())


def flapping(history: History, turn: int) -> None:
    other = history.others[0]
    other.site.upstream = turn % 2 == 0
    history.world.run(11)


def wandering(history: History, turn: int) -> None:
    address = f"198.18.0.{turn % 250 + 1}"
    history.others[0].site.renumber({4: address}, gagged=True)
    history.world.zone.set("plain.example", [address], 0)
    history.world.run(8)


def lying(history: History, turn: int) -> None:
    history.others[0].site.upstream = turn % 9 == 0
    history.world.zone.set("plain.example", [f"192.0.{turn // 100}.{turn % 100}"], 0)
    history.world.run(2)


def moving(history: History, turn: int) -> None:
    history.others[0].site.upstream = False
    history.one.moved()
    history.world.run(0.7)


@pytest.mark.parametrize("life", [flapping, wandering, lying, moving], ids=lambda life: life.__name__)
@pytest.mark.parametrize("talk", [0, 15])
def test_the_worst_hour_is_bounded(life: Callable[[History, int], None], talk: int) -> None:
    history = History(1)
    history.talk = talk
    history.world.run(60)
    began = history.world.clock.now
    for turn in range(10_000):
        life(history, turn)
        if history.world.clock.now - began > HOUR:
            break
    within_bounds(history.one)


def test_a_crowd_that_is_off_costs_little() -> None:
    """Twenty machines that are switched off one after the other, and twenty that are not."""
    world = World()
    one = world.node("a", OWN)
    peers = {}
    for number in range(40):
        name, address = f"p{number}", f"198.18.0.{number + 1}"
        other = world.node(name, address)
        other.connect("a", at(OWN))
        one.connect(name, at(address))
        world.zone.set(f"{name}.example", [address])
        peers[name] = declared(name, [f"{name}.example"], at(address))
    one.watch(peers)
    world.run(60)
    off = [f"p{number}" for number in range(20)]
    for number, name in enumerate(off):
        world.clock.after(number * 5, functools.partial(setattr, world.nodes[name].site, "upstream", False))
    world.run(1800)
    assert {write.key for write in one.writes} <= set(off)
    assert {host.removesuffix(".example") for _, host in one.looks} <= set(off)
    assert worst_hour(moment for moment, _ in one.looks) < 20 * 45
    bursts = Counter(int(moment) for moment, _ in one.looks)
    assert max(bursts.values()) <= 20
