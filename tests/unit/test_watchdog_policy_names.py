"""Names that mislead, fail or turn, in seconds of simulated network life."""

from __future__ import annotations

import pytest

from sim import at, declared
from sim.scenes import A6, B2, B3, B6, HOST, A, B, back_after, pair

# -- 6: names


@pytest.mark.parametrize("works", [B, B2, B3])
def test_of_three_addresses_the_one_that_works_is_found(works: str) -> None:
    world, one, _ = pair(b=[works])
    world.zone.set(HOST, [B3, B, B2])
    one.disconnect("b")
    one.connect("b", at(B))
    one.apply({"b": declared("b", [HOST], at(B))})
    world.run(2 + 5.5 + 3 * 5.5 + 6)
    assert one.phase("b") == "up"
    assert one.tunnels["b"].endpoint == at(works)
    writes = len(one.writes)
    world.run(3600)
    assert len(one.writes) == writes


@pytest.mark.parametrize(("first", "second"), [(B, B6), (B6, B)])
def test_a_family_that_is_a_black_hole_is_left(first: str, second: str) -> None:
    world, one, other = pair(a=[A, A6], b=[first, second])
    other.tunnels["a"].endpoint = ""
    world.traffic(one, "b")
    world.run(100)
    assert one.tunnels["b"].endpoint == at(first)
    world.underlay.holes.add(first)
    began = world.clock.now
    world.run(30)
    assert one.tunnels["b"].endpoint == at(second)
    assert back_after(one, "b", began) < 19


def test_a_family_without_a_route_is_never_tried() -> None:
    world, one, other = pair(a=[A], b=[B, B6])
    world.run(50)
    other.site.upstream = False
    world.run(3600)
    assert one.writes
    assert {write.endpoint for write in one.writes} == {at(B)}


@pytest.mark.parametrize("nonsense", [A, "10.0.0.7", "127.0.0.1", "0.0.0.0", "::1", "fe80::1"])
def test_an_address_that_cannot_be_the_peers_is_never_tried(nonsense: str) -> None:
    world, one, other = pair(a=[A, A6])
    one.watch({"b": declared("b", [HOST], at(B))}, ["10.0.0.0/24"])
    world.traffic(one, "b")
    world.run(50)
    other.site.upstream = False
    world.zone.set(HOST, [nonsense])
    world.run(600)
    assert {write.endpoint for write in one.writes} == {at(B)}
    world.zone.set(HOST, [nonsense, B2])
    other.site.public, other.site.upstream, other.site.gagged = {4: B2}, True, True
    world.run(310)
    assert one.phase("b") == "up"


@pytest.mark.parametrize("trouble", ["NXDOMAIN", "SERVFAIL", "timeout"])
def test_dns_that_fails_takes_nothing_away(trouble: str) -> None:
    world, one, other = pair(nat=True, forward=True, endpoints=[HOST, B3])
    world.traffic(one, "b")
    world.run(60)
    one.resolver.trouble = trouble
    other.site.renumber({4: B3}, gagged=True)
    began = world.clock.now
    world.run(30)
    assert back_after(one, "b", began) < 20, "the list's literal needs no DNS"
    assert len(one.looks) < 6


def test_dns_that_fails_for_a_while_is_asked_again() -> None:
    world, one, other = pair(nat=True, forward=True)
    world.traffic(one, "b")
    world.run(60)
    one.resolver.trouble = "SERVFAIL"
    other.site.renumber({4: B2}, gagged=True)
    world.zone.set(HOST, [B2])
    world.run(60)
    one.resolver.trouble = ""
    repaired = world.clock.now
    world.run(120)
    assert back_after(one, "b", repaired) < 60


def test_the_order_of_addresses_is_no_change() -> None:
    world, one, other = pair(b=[B])
    world.zone.set(HOST, [B, B2, B3])
    world.traffic(one, "b")
    world.run(60)
    for number in range(40):
        other.site.upstream = number % 4 > 1
        world.zone.set(HOST, [[B, B2, B3], [B2, B3, B], [B3, B, B2]][number % 3])
        world.run(2.5)
    assert all(write.silence >= 15 for write in one.writes)
