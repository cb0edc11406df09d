"""The watchdog asks the kernel for ways before it tries an address or asks a nameserver, and believes it a while."""

from __future__ import annotations

import ipaddress

import pytest
from attrs import evolve

from mesh_sync.names.nameservers import Answer, Nameserver, Unresolved
from mesh_sync.wireguard.longest_prefix import LongestPrefix
from mesh_sync.wireguard.ways import Way, Ways
from mesh_watchdog.policy import known_ways
from mesh_watchdog.policy.actions import AskWays
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.known_ways import WAYS_AGE, WAYS_LOST
from mesh_watchdog.policy.led import Leading, Led
from mesh_watchdog.policy.observations import Applied, Routed, Surroundings
from mesh_watchdog.policy.peer import SEARCHING, SUSPECT, UP
from mesh_watchdog.policy.state import State
from sim import at
from sim.scenes import B2, HOST, B, back_after, pair
from unit.believed import peer

PIHOLE = Nameserver("10.0.0.9")
INTO, OUT = Way("wg0", prefix=24), Way("eth0")


def test_a_peer_that_moves_is_found_with_the_kernels_word() -> None:
    world, one, other = pair()
    world.traffic(one, "b")
    world.run(60)
    other.site.renumber({4: B2}, gagged=True)
    world.zone.set(HOST, [B2])
    moved = world.clock.now
    world.run(30)
    assert back_after(one, "b", moved) < 10
    assert {write.endpoint for write in one.writes} == {at(B2)}


def test_where_the_kernel_has_no_way_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    world, one, other = pair()
    world.run(60)
    monkeypatch.setattr(type(one), "ways", lambda self, addresses: Ways())
    other.site.upstream = False
    world.run(300)
    assert one.looks
    assert not one.writes


@pytest.mark.parametrize("after", [Surroundings(frozenset(), frozenset({4})), Applied({})], ids=["moved", "applied"])
def test_a_change_ends_what_the_kernel_said(after: Surroundings | Applied) -> None:
    said = Routed(frozenset({B}), Ways({B: OUT}, {B: OUT}))
    state, _ = decide(State(), said, 100.0)
    assert not known_ways.lacking({B}, state, 100.0 + WAYS_AGE - 1)
    assert known_ways.lacking({B}, state, 100.0 + WAYS_AGE)
    assert known_ways.lacking({B, B2}, state, 101.0)
    assert known_ways.lacking({B}, decide(state, after, 101.0)[0], 101.0)


def test_what_was_said_before_counts_for_as_long_as_it_would_have() -> None:
    state, _ = decide(State(), Routed(frozenset({B}), Ways({B: OUT}, {B: OUT})), 100.0)
    state, _ = decide(state, Routed(frozenset({B2}), Ways({B2: INTO}, {B2: INTO})), 105.0)
    assert not known_ways.lacking({B, B2}, state, 106.0)
    assert known_ways.is_outside(ipaddress.ip_address(B), state)
    assert not known_ways.is_outside(ipaddress.ip_address(B2), state)
    assert known_ways.lacking({B}, state, 111.0)


def test_one_question_at_a_time() -> None:
    state, asks = known_ways.asked(State(), {B}, 100.0)
    assert asks == (AskWays(frozenset({B})),)
    assert known_ways.asked(state, {B}, 101.0)[1] == ()
    assert known_ways.asked(state, {B}, 100.0 + WAYS_LOST)[1]


def behind(phase: str, mark: int = 0) -> State:
    """A Pi-hole behind the peer `b`, or anything behind an exit that is `b`; and the only resolver there is."""
    carriers = LongestPrefix([(ipaddress.ip_network("10.0.0.9/32"), "b"), (ipaddress.ip_network("0.0.0.0/0"), "b")])
    ways = Ways({PIHOLE.address: INTO}, {PIHOLE.address: OUT} if mark else {PIHOLE.address: INTO})
    return State(
        peers={"b": peer(phase=phase)}, carriers=carriers, mark=mark, routed=Routed(frozenset(), ways, (PIHOLE,))
    )


def test_a_resolver_behind_a_peer_is_asked_while_that_peer_is_up() -> None:
    assert known_ways.servers(behind(UP)) == (PIHOLE,)
    assert known_ways.servers(behind(SUSPECT)) == ()


def test_a_resolver_behind_two_gateways_is_asked_while_the_one_in_use_is_up() -> None:
    state = behind(SEARCHING)
    state = evolve(state, peers={**state.peers, "c": peer(phase=UP)})
    assert known_ways.servers(state) == ()
    assert known_ways.servers(evolve(state, leading=Leading(now={"10.0.0.9/32": Led("c")}))) == (PIHOLE,)


def test_behind_an_exit_that_does_not_answer_it_is_asked_past_the_tunnel() -> None:
    assert known_ways.servers(behind(UP, 51820)) == (PIHOLE,)
    assert known_ways.servers(behind(SEARCHING, 51820)) == (evolve(PIHOLE, mark=51820),)
    assert known_ways.servers(evolve(behind(SEARCHING, 51820), past_exit=False)) == ()


def test_without_a_nameserver_that_can_be_asked_it_is_said_why() -> None:
    world, one, _ = pair()
    world.run(1)
    state = evolve(behind(SUSPECT), names=one.state.names if one.state else {})
    nobody = Answer(HOST, reason=Unresolved.NO_NAMESERVER)
    assert decide(state, nobody, 1.0)[0].names[HOST].problem == Unresolved.NONE_USABLE.value
    none_there = evolve(state, routed=Routed(frozenset()))
    assert decide(none_there, nobody, 1.0)[0].names[HOST].problem == Unresolved.NO_NAMESERVER.value


def test_the_places_in_use_are_those_of_live_peers_and_the_nameservers() -> None:
    state = evolve(behind(UP), peers={"b": peer(), "c": peer(phase=SEARCHING)})
    assert known_ways.in_use(state) == {"203.0.113.12", PIHOLE.address}
