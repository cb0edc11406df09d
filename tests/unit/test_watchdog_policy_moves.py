"""How soon a peer that moved is found, or finds us, in seconds of simulated network life."""

from __future__ import annotations

import statistics

import pytest

from mesh_watchdog.policy.peer import MISS, SUSPECT, TALK, UP
from sim import World, at, declared
from sim.scenes import A2, B2, HOST, A, B, C, back_after, mesh, pair

# -- 1: a peer is renumbered, and only DNS knows


def renumbered(seed: int, update_after: float = 0.0) -> float:
    """Return how long after the DNS update the traffic flowed again."""
    world, one, other = pair(seed=seed, nat=True, forward=True)
    world.traffic(one, "b")
    world.run(100 + world.chance.random() * 5)
    other.site.renumber({4: B2}, gagged=True)
    world.run(update_after)
    world.zone.set(HOST, [B2])
    updated = world.clock.now
    world.run(60 + update_after)
    assert one.tunnels["b"].endpoint == at(B2)
    return back_after(one, "b", updated)


def test_traffic_to_a_renumbered_peer_flows_again_three_seconds_after_the_dns_update() -> None:
    outages = [renumbered(seed) for seed in range(15)]
    assert statistics.median(outages) < 2.8
    assert max(outages) < 3.2


def test_who_only_answers_notices_all_the_same_that_its_nat_has_another_address() -> None:
    """Nothing that is sent to it arrives any more; it has nothing to say, and its silence is the only sign."""
    world, one, other = pair(nat=True, both=True, keepalive=25.0)
    world.zone.set(HOST, [])
    world.traffic(one, "b", 0.2)
    world.run(20)
    other.site.renumber({4: B2})
    moved = world.clock.now
    world.run(30)
    assert one.tunnels["b"].endpoint.startswith(f"{B2}:")
    assert back_after(one, "b", moved) < 5


def test_the_end_of_a_conversation_costs_one_probe() -> None:
    world, one, other = pair()
    for _ in range(50):
        other.ping("a")
        world.run(0.3)
    assert one.state
    assert one.state.peers["b"].talk >= TALK
    before = one.tunnels["b"].tx
    world.run(20)
    assert one.state.peers["b"].talk < TALK
    assert 0 < one.tunnels["b"].tx - before < 300, "bytes: a probe, and an empty packet"


def test_an_outage_makes_no_slow_line_of_a_quick_one() -> None:
    world, one, other = pair(nat=True, forward=True)
    world.traffic(one, "b", 0.2)
    world.run(20)
    assert one.state
    before = one.state.peers["b"].usual
    other.site.upstream = False
    world.run(3)
    assert one.state.peers["b"].phase == SUSPECT
    other.site.upstream = True
    world.run(3)
    assert one.state.peers["b"].phase == UP
    assert one.state.peers["b"].usual == pytest.approx(before, abs=0.1)


def test_a_slow_line_takes_the_time_that_it_needs() -> None:
    """Its answers take 0.6 s: the first of them that is missed is no news, and less is believed of the next."""
    world, one, other = pair(nat=True, forward=True)
    world.underlay.latency = 0.3
    for _ in range(40):
        one.ping("b")
        world.run(1.3)
    assert one.state
    assert one.state.peers["b"].usual == pytest.approx(0.7, abs=0.2), "read after 0.1, 0.2, 0.4 and 0.8 s"
    assert one.state.peers["b"].miss_after == MISS
    assert not one.looks
    other.site.renumber({4: B2}, gagged=True)
    world.zone.set(HOST, [B2])
    moved = world.clock.now
    world.traffic(one, "b")
    world.run(30)
    assert back_after(one, "b", moved) < 7


@pytest.mark.parametrize("stall", [0.5, 1.0, 1.5])
def test_a_line_that_stalls_for_a_moment_is_no_silence(stall: float) -> None:
    world, one, other = pair()
    world.traffic(one, "b", 0.2)
    for _ in range(60):
        world.run(5 + world.chance.random() * 5)
        other.site.upstream = False
        world.run(stall)
        other.site.upstream = True
    assert not one.looks
    assert not one.notes
    assert not one.writes


def renumbered_among_others(seed: int, *more: str) -> float:
    """The same in a mesh whose other nodes go on telling where they saw the peer last; DNS has ``more`` addresses."""
    world = World(seed)
    hosts = {"a": A, "b": B, "c": C, "d": "192.0.2.4"}
    nodes = {name: world.node(name, address, nat=name == "b", forward=name == "b") for name, address in hosts.items()}
    for name, node in nodes.items():
        world.zone.set(f"{name}.example", [hosts[name]])
        for other in hosts.keys() - {name}:
            node.connect(other, at(hosts[other]))
        node.watch({other: declared(other, [f"{other}.example"], at(hosts[other])) for other in hosts.keys() - {name}})
    world.traffic(nodes["a"], "b")
    world.run(100 + world.chance.random() * 5)
    nodes["b"].site.renumber({4: B2}, gagged=True)
    world.zone.set(HOST, [B2, *more])
    updated = world.clock.now
    world.run(60)
    assert nodes["a"].tunnels["b"].endpoint == at(B2)
    return back_after(nodes["a"], "b", updated)


@pytest.mark.parametrize("more", [(), ("198.51.100.20",)], ids=["one address", "a wrong one first"])
def test_news_from_dns_do_not_wait_for_a_peer_that_others_saw_elsewhere(more: tuple[str, ...]) -> None:
    outages = [renumbered_among_others(seed, *more) for seed in range(15)]
    assert statistics.median(outages) < 2.8, outages
    assert max(outages) < 3.2, outages


@pytest.mark.parametrize("late", [2.0, 6.0, 20.0, 90.0, 600.0])
def test_a_late_dns_update_is_found_within_what_the_back_off_allows(late: float) -> None:
    assert renumbered(3, late) < 8 + (late / 4 * 1.15 if late > 60 else 0)


def test_a_firewalled_peer_takes_until_wireguard_owes_an_answer() -> None:
    world, one, other = pair(nat=True, forward=True, firewalled=True)
    world.traffic(one, "b")
    world.run(100)
    other.site.renumber({4: B2}, gagged=True)
    world.zone.set(HOST, [B2])
    began = world.clock.now
    while world.clock.now - one.tunnels["b"].alive > 3 or world.clock.now - began < 5:
        world.run(0.5)
        assert world.clock.now - began < 11 + 12, "suspect after 11 s; the answer takes WireGuard 10 s"
    assert one.tunnels["b"].endpoint == at(B2)


# -- 2: our own address changes


def test_all_peers_have_our_new_address_within_a_second() -> None:
    world, one = mesh(12)
    world.run(50)
    one.site.renumber({4: A2})
    one.moved()
    world.run(1)
    assert all(world.nodes[name].tunnels["a"].endpoint == at(A2) for name in one.tunnels)
    world.run(60)
    assert not one.looks
    assert not one.writes


def test_a_network_that_changes_all_the_time_is_no_flood() -> None:
    world, one = mesh(5)
    world.run(50)
    before = one.probes.total()
    for _ in range(600):
        one.moved()
        world.run(0.1)
    assert one.probes.total() - before < 5 * 75
    assert not one.writes


# -- 3: the WAN address of a peer's NAT changes


@pytest.mark.parametrize("keepalive", [25.0, 0.0])
def test_a_renumbered_nat_comes_back_with_its_next_packet(keepalive: float) -> None:
    world, one, other = pair(nat=True, keepalive=keepalive, endpoints=(), both=True)
    world.run(100)
    other.site.renumber({4: B2})
    world.run(26)
    assert one.tunnels["b"].endpoint.startswith(B2)
    world.run(60)
    assert not one.writes
    assert not other.writes


# -- 4: a silent idle peer moves


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("firewalled", [False, True])
def test_a_silent_mover_is_found_within_the_probe_interval_and_eleven_seconds(seed: int, firewalled: bool) -> None:
    world, one, other = pair(seed=seed, nat=True, forward=True, firewalled=firewalled)
    world.run(200 + world.chance.random() * 25)
    other.site.renumber({4: B2}, gagged=True)
    world.zone.set(HOST, [B2])
    moved = world.clock.now
    world.run(25 + 4 + 11 + 1)
    assert one.tunnels["b"].endpoint == at(B2), one.notes
    world.run(11)
    assert one.phase("b") == "up"
    assert world.clock.now - moved < 60


# -- 5: both move in the same second


@pytest.mark.parametrize("ttl", [5.0, 30.0, 60.0])
@pytest.mark.parametrize("talking", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_when_both_move_the_ttl_decides(ttl: float, talking: bool, seed: int) -> None:
    world, one, other = pair(seed=seed, ttl=ttl, both=True)
    if talking:
        world.traffic(one, "b")
    world.run(100 + world.chance.random() * 25)
    one.resolver.lookup(HOST)
    other.resolver.lookup("a.example")
    one.site.renumber({4: A2})
    other.site.renumber({4: B2})
    world.zone.set(HOST, [B2], ttl)
    world.zone.set("a.example", [A2], ttl)
    one.moved()
    other.moved()
    moved = world.clock.now
    world.run(max(ttl * 1.1, 5.5) + 10)
    assert one.phase("b") == "up", "at most 10 % of jitter"
    assert one.tunnels["b"].endpoint == at(B2)
    assert other.tunnels["a"].endpoint == at(A2)
    if talking and ttl == 5:
        assert back_after(one, "b", moved) < 6.2, "the old answer is in a cache for 5 s"


def test_when_both_move_and_dns_is_fresh_five_seconds_are_enough() -> None:
    for seed in range(10):
        world, one, other = pair(seed=seed, both=True, nat=True, forward=True)
        world.traffic(one, "b")
        world.run(100 + world.chance.random() * 25)
        for node, place, host in ((one, A2, "a.example"), (other, B2, HOST)):
            node.site.renumber({4: place})
            world.zone.set(host, [place])
        moved = world.clock.now
        world.run(20)
        assert back_after(one, "b", moved) < 5, seed
