"""The scenes that the tests of the policy begin with: two nodes, or one among many; and what they wait for."""

from __future__ import annotations

from collections.abc import Iterable

from mesh_watchdog.policy.observations import Declared
from sim import Node, World, at, declared

A, B, B2, B3, C = "203.0.113.1", "198.51.100.2", "198.51.100.22", "198.51.100.23", "192.0.2.3"
A2, A6, B6 = "203.0.113.11", "2001:db8:a::1", "2001:db8:b::1"
HOST = "b.example"


def pair(
    *,
    seed: int = 1,
    a: Iterable[str] = (A,),
    b: Iterable[str] = (B,),
    nat: bool = False,
    forward: bool = False,
    firewalled: bool = False,
    endpoints: Iterable[str] = (HOST,),
    ttl: float = 5.0,
    keepalive: float = 0.0,
    both: bool = False,
) -> tuple[World, Node, Node]:
    """Two nodes with a tunnel, and the watchdog on the first one; ``both``: on the other one, too."""
    world = World(seed)
    one, other = world.node("a", *a), world.node("b", *b, nat=nat, forward=forward)
    other.firewalled = firewalled
    world.zone.set("a.example", list(a), ttl)
    world.zone.set(HOST, list(b), ttl)
    first = next(iter(b))
    one.connect("b", at(first), keepalive)
    other.connect("a", at(next(iter(a))), keepalive)
    one.watch({"b": declared("b", endpoints, at(first), managed=both)})
    if both:
        other.watch({"a": declared("a", ["a.example"], at(A))})
    return world, one, other


def back_after(node: Node, peer: str, moment: float) -> float:
    """Seconds from ``moment`` until the peer answered."""
    on_its_way = 0.1
    return next((pong for pong in node.pongs.get(peer, []) if pong > moment + on_its_way), float("inf")) - moment


def mesh(size: int) -> tuple[World, Node]:
    """A node with ``size`` peers at as many places, all alive."""
    world = World()
    one = world.node("a", A)
    peers: dict[str, Declared] = {}
    for number in range(size):
        name, address = f"p{number}", f"198.18.{number // 250}.{number % 250 + 1}"
        other = world.node(name, address)
        world.zone.set(f"{name}.example", [address])
        one.connect(name, at(address))
        other.connect("a", at(A))
        peers[name] = declared(name, [f"{name}.example"], at(address))
    one.watch(peers)
    return world, one


def roamed() -> tuple[World, Node, Node]:
    """A peer that left the address of its name for another one, and talked."""
    world, one, other = pair()
    world.traffic(one, "b")
    world.run(60)
    other.site.renumber({4: C})
    other.ping("a")
    world.run(60)
    assert one.tunnels["b"].endpoint == at(C)
    return world, one, other
