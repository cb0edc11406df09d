"""Which endpoints are worth a try, in which order; and what a name in DNS tells about a peer."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import pytest
from attrs import evolve

from mesh_sync.names.nameservers import Answer, Unresolved
from mesh_sync.wireguard.endpoint import Address
from mesh_sync.wireguard.underlay import Tunnel
from mesh_sync.wireguard.ways import Way, Ways
from mesh_watchdog.policy import dns_names
from mesh_watchdog.policy.candidates import candidates, news
from mesh_watchdog.policy.dns_names import NameState, asking, heard_back, is_due, seeded
from mesh_watchdog.policy.observations import Routed, Seen, Surroundings
from mesh_watchdog.policy.peer import PeerState
from mesh_watchdog.policy.state import State
from sim import at, declared

HOST = "b.example"
D, R, E, L = "198.51.100.2", "192.0.2.7", "198.51.100.9", "203.0.113.9"
D6 = "2001:db8::2"


def addresses(*texts: str) -> frozenset[Address]:
    return frozenset(map(ipaddress.ip_address, texts))


def answer(*texts: str, ttl: float = 5, unanswered: Iterable[int] = ()) -> Answer:
    return Answer(HOST, tuple(map(ipaddress.ip_address, texts)), ttl, unanswered=frozenset(unanswered))


def peer(endpoints: Iterable[str] = (HOST,), *, good: str = D, expected: Iterable[str] = (D,)) -> PeerState:
    """A peer that was heard at ``good`` 100 s after the beginning, and has been silent since."""
    return PeerState(
        declared=declared("b", endpoints), since=0, heard=100, lived=True, seen=Seen(at(good), 1, 1, 1),
        good=at(good), expected=tuple(expected),
    )  # fmt: skip


def places(*texts: str, answered: float | None = 120, replaced: float | None = None) -> State:
    name = NameState(addresses=addresses(*texts), answered=answered, replaced=replaced)
    own = addresses("203.0.113.1")
    around = Surroundings(own, frozenset({4, 6}))
    ways = {address: Way("eth0") for address in (*texts, D, R, E, L, D6)}
    routed = Routed(frozenset(ways), Ways(ways, ways))
    return State(names={HOST: name}, surroundings=around, tunnel=Tunnel("wg0", ["10.0.0.0/24"]), routed=routed)


def found(state: PeerState, around: State) -> list[str]:
    return [endpoint for endpoint, _ in candidates(state, around)]


def test_news_come_before_where_it_was_and_literals_last() -> None:
    assert found(peer([HOST, L]), places(E)) == [at(E), at(D), at(L)]


def test_where_it_was_comes_before_what_dns_always_said() -> None:
    state = peer([HOST, L], good=R)
    assert found(state, places(D)) == [at(R), at(D), at(L)]


def test_dns_of_a_peer_that_had_roamed_is_no_news() -> None:
    state = peer(good=R)
    assert not news(state, places(E))
    assert found(state, places(E)) == [at(R), at(E)]


def test_dns_that_changes_while_a_roamed_peer_is_silent_is_news() -> None:
    assert news(peer(good=R), places(E, replaced=110)) == ((at(E), "dns"),)


def test_an_answer_from_before_the_silence_is_no_news() -> None:
    assert not news(peer(), places(E, answered=90))


def test_a_name_that_still_stands_for_where_it_was_is_no_news() -> None:
    assert not news(peer(), places(E, D))


def test_families_alternate() -> None:
    assert found(peer(), places(E, "198.51.100.10", D6, "2001:db8::3"))[:4] == [
        at(E), at(D6), at("198.51.100.10"), at("2001:db8::3"),
    ]  # fmt: skip


@pytest.mark.parametrize("nonsense", ["10.0.0.9", "127.0.0.1", "::1", "0.0.0.0", "203.0.113.1", "fe80::1", "224.0.0.1"])
def test_nonsense_is_left_out(nonsense: str) -> None:
    assert found(peer(), places(nonsense)) == [at(D)]
    assert not news(peer(), places(nonsense))


def told(around: State, ways: dict[str, Way] | None = None) -> State:
    """The same where the kernel has ways of its own, and none to addresses that are not named."""
    known = {D: Way("eth0"), **(ways or {})}
    return evolve(around, routed=Routed(around.routed.asked, Ways(known, known)))


def test_an_address_without_a_route_is_left_out() -> None:
    assert found(peer(), told(places(D6))) == [at(D)]


def test_ipv6_without_a_default_route_is_tried_where_there_is_a_route_to_it() -> None:
    around = told(places(D6), {D6: Way("eth0", "fe80::1", prefix=3)})
    assert found(peer(), evolve(around, surroundings=Surroundings(frozenset(), frozenset({4}))))[0] == at(D6)


def test_a_private_address_outside_the_tunnel_is_a_candidate() -> None:
    assert found(peer(), places("10.9.0.9"))[0] == at("10.9.0.9")


def test_an_address_in_a_network_of_the_list_is_a_candidate_where_the_underlay_reaches_it() -> None:
    """The second node in a LAN that a gateway advertises: its connected route is as specific as ours."""
    around = evolve(places(L), tunnel=Tunnel("wg0", ["203.0.113.0/24"]))
    assert found(peer(), told(around, {L: Way("eth0", prefix=24)}))[0] == at(L)
    assert found(peer(), told(around, {L: Way("wg0", prefix=24)})) == [at(D)]
    assert found(peer(), told(around, {L: Way("eth0")})) == [at(D)]


# -- names


def test_a_name_is_known_by_what_was_applied() -> None:
    assert seeded(HOST, [declared("b", [HOST], at(D))]).addresses == addresses(D)
    assert (
        seeded(HOST, [declared("b", [HOST], "nonsense"), declared("c", ["c.example"], at(E))]).addresses == addresses()
    )


@pytest.mark.parametrize(("ttl", "wait"), [(0, 5), (1, 5), (30, 30), (86400, 60)])
def test_the_ttl_says_when_to_ask_again(ttl: float, wait: float) -> None:
    name = heard_back(asking(NameState(), 100), answer(D, ttl=ttl), 100, 10)
    assert 100 + wait <= name.next <= 100 + wait * 1.1


def test_a_cached_answer_is_asked_for_again_when_it_expires_but_seldom() -> None:
    """It may be older than the move; a name that never has another one is not asked more often for that."""
    name = NameState(addresses=addresses(D))
    name = heard_back(asking(name, 100), answer(D, ttl=2.5), 100, 3)
    assert name.next == 102.5
    name = heard_back(asking(name, 102.5), answer(D, ttl=2.5), 102.5, 5.5)
    assert 107.5 <= name.next <= 108
    assert heard_back(asking(name, 400), answer(D, ttl=0), 400, 3).next == 401
    assert heard_back(asking(name, 400), answer(D, ttl=0), 400, 61).next >= 405
    assert heard_back(asking(name, 400), answer(E, ttl=0), 400, 3).next >= 405


def test_failures_keep_the_answer_and_double_the_wait() -> None:
    name, now, waits = NameState(addresses=addresses(D)), 100.0, []
    for _ in range(9):
        name = heard_back(asking(name, now), Answer(HOST, reason=Unresolved.FAILURE), now, 10)
        waits.append(name.next - now)
        now = name.next
    assert name.addresses == addresses(D)
    doubled = [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert all(least <= wait <= least * 1.1 for wait, least in zip(waits, doubled, strict=True))


def test_an_empty_answer_takes_nothing_away() -> None:
    name = heard_back(NameState(addresses=addresses(D)), Answer(HOST, reason=Unresolved.NO_ADDRESS), 100, 10)
    assert name.addresses == addresses(D)
    assert name.problem == "it has no address"


def test_the_silence_about_one_ip_version_is_no_news_of_it() -> None:
    name = heard_back(NameState(addresses=addresses(D, D6), answered=90), answer(E, unanswered=[6]), 100, 10)
    assert name.addresses == addresses(E, D6)
    name = heard_back(name, answer(E), 110, 10)
    assert name.addresses == addresses(E)


def test_the_longer_the_silence_the_rarer_the_question() -> None:
    for silence, wait in ((10, 5), (60, 5), (400, 100), (86400, 300)):
        name = heard_back(NameState(), answer(D, ttl=5), 1000, silence)
        assert wait <= name.next - 1000 <= wait * 1.1


def test_there_is_one_question_at_a_time_unless_it_got_lost() -> None:
    name = asking(NameState(), 100)
    assert not is_due(name, 110)
    assert is_due(name, 116)


def test_order_is_no_change() -> None:
    name = heard_back(NameState(addresses=addresses(D, E), answered=90), answer(E, D, ttl=5), 100, 10)
    assert name.changed is None
    name = heard_back(name, answer(E, ttl=5), 110, 10)
    assert (name.changed, name.replaced) == (110, 100)


def test_after_a_move_of_our_own_the_floor_still_holds() -> None:
    name = dns_names.after_move(asking(NameState(next=400), 100), 102)
    assert name.next == 105
    assert dns_names.after_move(NameState(next=400), 102).next == 102
