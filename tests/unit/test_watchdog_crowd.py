"""A crowd of dead peers: how many are asked at a time, that all have their turn, and that others do not wait for them.

Here all peers are watched; of a large mesh some are (`test_watchdog_large`). Every handshake that is not answered waits
for 3 s where the neighbour is dead, and 256 of them hold up wireguard-go.
"""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import define, field

from mesh_watchdog.policy.crowd import PLACES, PLACES_AT_ONE, RATE, SMALL
from mesh_watchdog.policy.observations import Declared
from sim import PORT, Node, World, at, declared
from sim.underlay import Packet

OWN, DEAD = "203.0.113.1", "203.0.113.200"
NEIGHBOUR = 3
"""Seconds for which the kernel keeps what is sent to a neighbour that does not answer."""
ROOM = 256
"""Packets that it keeps at most."""


@define(eq=False)
class Crowd:
    """A node, ``living`` peers at addresses of their own, and ``dead`` ones: at one address, or at ``many``.

    ``sent``: the packets, by second, that nothing answers; ``first``: in which second each peer was first sent one.
    """

    living: int
    dead: int
    many: bool = False
    world: World = field(factory=World)
    one: Node = field(init=False)
    peers: dict[str, Declared] = field(factory=dict)
    sent: Counter[int] = field(factory=Counter)
    first: dict[str, int] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.one = self.world.node("a", OWN)
        for number in range(self.dead):
            where = at(f"198.19.{number // 250}.{number % 250 + 1}" if self.many else DEAD, PORT + number)
            self.one.connect(f"dead{number}", where)
            self.peers[f"dead{number}"] = declared(f"dead{number}", [where], where)
        for number in range(self.living):  # last in the list
            self.add(f"live{number}", f"198.18.{number // 250}.{number % 250 + 1}")
        send = self.one._emit

        def emit(packet: Packet, to: str) -> None:
            second = int(self.world.clock.now)
            self.first.setdefault(packet.receiver, second)
            self.sent[second] += packet.receiver.startswith("dead") or not self.one.site.upstream
            send(packet, to)

        for tunnel in self.one.tunnels.values():
            tunnel.send = emit

    def add(self, name: str, address: str) -> Node:
        other = self.world.node(name, address)
        other.connect("a", at(OWN))
        self.one.connect(name, at(address))
        self.peers[name] = declared(name, [at(address)], at(address))
        return other

    def watch(self, seconds: float) -> None:
        self.one.watch(self.peers)
        self.world.run(seconds)

    def most_waiting(self) -> int:
        """Packets to dead peers within as many seconds as the kernel keeps them."""
        last = max(self.sent, default=0)
        return max(sum(self.sent[second + more] for more in range(NEIGHBOUR)) for second in range(last + 1))

    def are_up(self, *names: str) -> bool:
        return all(self.one.phase(name) == "up" for name in names or self.peers if name.startswith("live"))


@pytest.mark.parametrize("many", [False, True])
def test_a_crowd_that_never_answers_does_not_fill_the_socket(many: bool) -> None:
    crowd = Crowd(20, 279, many)
    crowd.watch(150)
    assert crowd.are_up()
    assert max(Counter(crowd.first.values()).values()) <= 2 * RATE
    assert crowd.most_waiting() <= ROOM * (0.75 if many else 0.3)


def test_all_of_a_crowd_have_their_turn_and_the_longer_it_is_silent_the_less_is_sent() -> None:
    crowd = Crowd(1, 70)
    crowd.watch(1800)
    assert all(crowd.one.probes[f"dead{number}"] for number in range(70))
    early, late = (sum(crowd.sent[second] for second in range(since, since + 600)) for since in (0, 1200))
    assert late < early * 0.75


@pytest.mark.parametrize("many", [False, True])
def test_those_that_live_do_not_wait_for_a_crowd_elsewhere(many: bool) -> None:
    crowd = Crowd(60, 239, many)
    crowd.watch(20)
    assert crowd.are_up()


def test_a_peer_that_comes_to_a_mesh_with_a_crowd_is_asked_at_once() -> None:
    crowd = Crowd(5, 290)
    crowd.watch(120)
    crowd.add("live-late", "198.18.9.9")
    crowd.one.apply(crowd.peers)
    crowd.world.run(15)
    assert crowd.are_up("live-late")


def test_a_dead_one_that_is_there_again_is_found() -> None:
    crowd = Crowd(5, 80)
    crowd.watch(300)
    risen = crowd.world.node("dead79", DEAD)
    risen.site.port = PORT + 79
    risen.connect("a")
    crowd.world.run(900)
    assert crowd.one.phase("dead79") == "up"


def test_a_gateway_that_dies_before_a_crowd() -> None:
    """They were all alive, and are again once it is back. What WireGuard still has to answer them goes there, too."""
    crowd = Crowd(299, 0)
    crowd.watch(60)
    assert crowd.are_up()
    crowd.one.site.upstream = False
    crowd.world.run(120)
    assert crowd.most_waiting() <= ROOM * 0.9
    crowd.one.site.upstream = True
    crowd.world.run(100)
    assert crowd.are_up()


def test_a_small_mesh_is_asked_all_at_once() -> None:
    crowd = Crowd(0, SMALL)
    crowd.watch(3)
    assert crowd.one.probes.total() == SMALL


def test_no_address_has_all_places() -> None:
    crowd = Crowd(0, 299)
    crowd.watch(90)
    assert len(crowd.one.probes) <= PLACES_AT_ONE
    crowd = Crowd(0, 299, many=True)
    crowd.watch(90)
    assert PLACES_AT_ONE < len(crowd.one.probes) <= PLACES
