"""What the watchdog leaves alone, and when it knows that it is us, in simulated network life."""

from __future__ import annotations

import pytest
from attrs import evolve

from mesh_watchdog.policy.observations import Declared
from sim import World, at, declared
from sim.scenes import B2, B3, HOST, A, B, C, back_after, mesh, pair, roamed
from sim.underlay import PORT

# -- 7: what is left alone


def test_a_roamed_peer_is_left_alone_whatever_dns_says() -> None:
    world, one, _ = roamed()
    for address in (B2, B3, B):
        world.zone.set(HOST, [address])
        world.run(1800)
    assert not one.writes
    assert not one.looks


@pytest.mark.parametrize("outage", [4.0, 8.0, 13.0])
def test_a_short_outage_of_a_roamed_peer_writes_nothing(outage: float) -> None:
    world, one, other = roamed()
    world.zone.set(HOST, [B2])
    for _ in range(20):
        other.site.upstream = False
        world.run(outage)
        other.site.upstream = True
        restored = world.clock.now
        world.run(60)
        assert back_after(one, "b", restored) < 1
    assert not one.writes


def test_a_long_outage_of_a_roamed_peer_ends_where_it_was() -> None:
    world, one, other = roamed()
    other.site.upstream = False
    world.run(100)
    other.site.upstream = True
    restored = world.clock.now
    world.run(30)
    assert back_after(one, "b", restored) < 6
    assert one.tunnels["b"].endpoint == at(C)


@pytest.mark.parametrize("every", [0.5, 7.0, 40.0, 1e9])
def test_a_peer_whose_firewall_drops_everything_is_alive(every: float) -> None:
    world, one, _ = pair(firewalled=True)
    world.traffic(one, "b", every)
    world.run(3600)
    assert one.phase("b") == "up"
    assert not one.writes
    assert not one.looks


def test_a_firewalled_peer_that_talks_and_stops_is_doubted_once() -> None:
    world, one, other = pair(firewalled=True)
    for _ in range(20):
        for _ in range(60):
            one.ping("b")
            other.ping("a")
            world.run(0.5)
        for _ in range(60):
            one.ping("b")
            world.run(0.5)
    assert not one.writes
    assert len(one.looks) <= 2, "5 s apart, in the one silence after which it is known"


@pytest.mark.parametrize("keepalive", [0.0, 60.0, 600.0])
def test_an_idle_peer_with_a_longer_keepalive_is_alive(keepalive: float) -> None:
    world, one, other = pair()
    one.tunnels["b"].keepalive = 25
    one.tunnels["b"].start()
    other.tunnels["a"].keepalive = keepalive
    world.run(2 * 3600)
    assert one.phase("b") == "up"
    assert not one.looks
    assert not one.writes


def test_a_talking_peer_is_never_probed() -> None:
    world, one, other = pair()
    world.run(20)
    before = one.probes.total()
    world.traffic(other, "a")
    world.run(600)
    assert one.probes.total() - before <= 1


# -- 8: it is us


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("down", [30.0, 170.0])
def test_our_own_uplink_is_nobody_elses_fault(told: bool, down: float) -> None:
    world, one = mesh(30)
    world.run(200)
    one.site.link = not told
    one.site.upstream = told
    if told:
        one.moved()
    world.run(min(down, 55.0))
    assert not one.looks
    assert not one.writes
    if down > 55 and not told:
        return
    world.run(down - min(down, 55.0))
    one.site.link = one.site.upstream = True
    if told:
        one.moved()
    restored = world.clock.now
    world.run(2.0 if told else 6.0)
    late = [name for name, tunnel in one.tunnels.items() if tunnel.alive < restored]
    assert not late
    world.run(60)
    assert not one.looks
    assert not one.writes
    assert all(one.phase(name) == "up" for name in one.tunnels)


def test_three_peers_behind_one_nat_are_not_us() -> None:
    world = World()
    one = world.node("a", A)
    peers: dict[str, Declared] = {}
    for name in ("p", "q", "r"):
        node = world.node(name, B)
        node.site.port = {"p": 1001, "q": 1002, "r": 1003}[name]
        one.connect(name, at(B, node.site.port))
        node.connect("a", at(A))
        peers[name] = declared(name, [f"p.example:{node.site.port}"], at(B, node.site.port))
    world.zone.set("p.example", [B])
    one.watch(peers)
    for name in peers:
        world.traffic(one, name)
    world.run(60)
    for name in peers:
        world.nodes[name].site.renumber({4: B2}, gagged=True)
    world.zone.set("p.example", [B2])
    began = world.clock.now
    world.run(20)
    assert max(back_after(one, name, began) for name in peers) < 8


def test_three_silent_machines_hide_no_move_of_one_that_was_talking_at_the_address_of_one_of_them() -> None:
    world = World()
    one = world.node("a", A)
    peers: dict[str, Declared] = {}
    for name, address, port in (("p", B2, PORT), ("q", B3, PORT), ("r", B, 1001), ("b", B, PORT)):
        node = world.node(name, address)
        node.site.port = port
        world.zone.set(f"{name}.example", [address])
        one.connect(name, at(address, port))
        node.connect("a", at(A))
        peers[name] = declared(name, [f"{name}.example:{port}"], at(address, port))
    one.watch(peers)
    world.traffic(one, "b", 0.2)
    world.run(60)
    for name in "pqr":
        world.nodes[name].site.link = False
    world.run(45)
    assert {one.phase(name) for name in "pqr"} != {"up"}
    assert one.state
    assert not one.state.cut_off
    world.nodes["b"].site.renumber({4: C}, gagged=True)
    world.zone.set("b.example", [C])
    moved = world.clock.now
    world.run(10)
    assert back_after(one, "b", moved) < 4


@pytest.mark.parametrize("down", [6.0, 20.0, 50.0])
def test_a_talking_peer_that_moves_during_an_outage_of_ours_is_found_soon_after_it(down: float) -> None:
    world, one = mesh(6)
    world.traffic(one, "p0", 0.2)
    world.run(60)
    one.site.upstream = False
    world.run(down)
    world.nodes["p0"].site.renumber({4: C}, gagged=True)
    world.zone.set("p0.example", [C])
    one.site.upstream = True
    restored = world.clock.now
    world.run(40)
    assert back_after(one, "p0", restored) < 12


def test_all_peers_that_really_move_are_found_after_the_patience_with_us() -> None:
    world, one = mesh(6)
    world.run(100)
    for number, name in enumerate(one.tunnels):
        world.nodes[name].site.renumber({4: f"198.19.0.{number + 1}"}, gagged=True)
        world.zone.set(f"{name}.example", [f"198.19.0.{number + 1}"])
    world.run(25 + 60 + 11 + 30)
    assert all(one.phase(name) == "up" for name in one.tunnels)


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_one_conversation_that_ends_with_our_own_uplink_is_nobody_elses_fault(seed: int, slow: bool) -> None:
    """The others are idle: they are asked, and have their time before the one that was talking is suspected."""
    world, one = mesh(12)
    world.run(40)
    if slow:  # and known for it, but for the one that is talking
        world.underlay.latency = 0.25
        for _ in range(10):
            for number in range(1, 12):
                one.ping(f"p{number}")
            world.run(1.3)
        world.run(30)
    world.traffic(one, "p0", 0.2)
    world.run(20 + seed / 7)
    assert one.state
    quick = evolve(one.state.peers["p0"], usual=0.1)
    one.state = evolve(one.state, peers={**one.state.peers, "p0": quick})
    one.site.upstream = False
    world.run(20)
    assert not one.looks
    assert {note.key for _, note in one.notes} == {""}
