"""Nameservers that lie, fail, or say nothing decide about no name while another one knows better."""

from __future__ import annotations

import asyncio
import socket
import time

import dns.flags
import dns.message
import dns.rcode
import pytest

from mesh_sync.names import dns_question, nameservers, resolve
from mesh_sync.names.nameservers import DOUBT, Answer, Nameserver, Unresolved
from unit.hostile_resolver import (
    BOTH,
    NAME,
    SOON,
    Mood,
    Resolver,
    Start,
    dead,
    good,
    is_four,
    knows,
    resolvers,
    says,
    slow,
)

__all__ = ["resolvers"]


def look_up(*servers: Resolver | Nameserver, deadline: float = 10.0) -> tuple[Answer, float]:
    """Return the answer and the seconds it took."""
    where = [server.where if isinstance(server, Resolver) else server for server in servers]
    began = time.monotonic()
    answer = asyncio.run(resolve.look_up(NAME, where, deadline=deadline))
    return answer, time.monotonic() - began


def silent(query: dns.message.Message, wire: bytes) -> list[bytes]:
    return []


def swallows_aaaa(query: dns.message.Message, wire: bytes) -> list[bytes]:
    return knows(query, wire) if is_four(query) else []


def test_both_ip_versions_are_asked_at_once(resolvers: Start) -> None:
    server = resolvers(slow)
    answer, took = look_up(server)
    assert answer == Answer(NAME, BOTH, 60)
    assert took < SOON
    assert sorted(server.asked) == ["A", "AAAA"]


def test_a_resolver_that_swallows_aaaa_does_not_hold_up_the_other(resolvers: Start) -> None:
    answer, took = look_up(resolvers(swallows_aaaa))
    assert answer == Answer(NAME, BOTH[:1], 60, unanswered=frozenset({6}))
    assert took < SOON


def test_a_resolver_that_denies_ipv6_in_a_wrong_way_does_not_deny_ipv4(resolvers: Start) -> None:
    """Some say of AAAA that the name does not exist (RFC 4074); the question for A is answered the second time."""
    server, denied = resolvers(), says(dns.rcode.NXDOMAIN)
    server.mood = lambda query, wire: (
        denied(query, wire) if not is_four(query) else knows(query, wire) if server.asked.count("A") > 1 else []
    )
    assert look_up(server)[0].addresses == BOTH[:1]


def test_ipv6_that_comes_first_does_not_lose_ipv4(resolvers: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first question for A is lost; it is sent again after a second."""
    monkeypatch.setattr(dns_question, "_has_way", lambda address: True)
    server = resolvers()
    server.mood = lambda query, wire: knows(query, wire) if not is_four(query) or server.asked.count("A") > 1 else []
    assert look_up(server)[0].addresses == BOTH


def test_addresses_to_which_there_is_no_way_do_not_hurry_the_others(
    resolvers: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with IPv6 alone, and a resolver that takes its time for AAAA."""
    monkeypatch.setattr(dns_question, "_has_way", lambda address: address.version == 6)

    def late(query: dns.message.Message, wire: bytes) -> list[bytes]:
        if not is_four(query):
            time.sleep(0.8)
        return knows(query, wire)

    assert look_up(resolvers(late))[0].addresses == BOTH


def test_what_of_an_answer_fitted_counts_when_tcp_is_silent(resolvers: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_question, "RETRY", 0.3)

    def cut(query: dns.message.Message, wire: bytes) -> list[bytes]:
        answer = good(query)
        answer.flags |= dns.flags.TC
        return [answer.to_wire()]

    server = resolvers(cut)
    server.by_tcp = lambda query, wire: []
    answer, took = look_up(server)
    assert answer == Answer(NAME, BOTH, 60)
    assert took < SOON


def test_an_answer_that_takes_longer_than_a_second_is_heard(resolvers: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_question, "RETRY", 0.1)
    monkeypatch.setattr(nameservers, "PATIENCE", {4: 9, 6: 9})

    def late(query: dns.message.Message, wire: bytes) -> list[bytes]:
        time.sleep(0.15)
        return knows(query, wire)

    server = resolvers(late)
    assert look_up(server)[0].addresses == BOTH


@pytest.mark.parametrize("ipv6", [[], [b""], [b"noise" * 20]], ids=["silence", "nothing", "noise"])
def test_at_the_deadline_what_is_known_counts(
    resolvers: Start, monkeypatch: pytest.MonkeyPatch, ipv6: list[bytes]
) -> None:
    """Here patience is longer than the deadline."""
    monkeypatch.setattr(nameservers, "PATIENCE", {4: 60, 6: 60})
    server = resolvers(lambda query, wire: knows(query, wire) if is_four(query) else ipv6)
    assert resolve.resolve([NAME], 0.5, [server.where])[NAME].addresses == BOTH[:1]
    assert look_up(server, deadline=0.5)[0].addresses == BOTH[:1]


def test_what_one_resolver_swallows_another_one_tells(resolvers: Start) -> None:
    answer, took = look_up(resolvers(swallows_aaaa), resolvers(knows))
    assert answer.addresses == BOTH
    assert took < SOON


@pytest.mark.parametrize(
    "mood",
    [
        silent,
        says(dns.rcode.NXDOMAIN),
        says(dns.rcode.SERVFAIL),
        says(dns.rcode.REFUSED),
        says(dns.rcode.NOERROR),
        lambda query, wire: [b"noise" * 20],
    ],
    ids=["silence", "NXDOMAIN", "SERVFAIL", "REFUSED", "no address", "noise"],
)
@pytest.mark.parametrize("first", [True, False])
def test_the_one_that_knows_is_heard(
    resolvers: Start, mood: Mood, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not first:
        monkeypatch.setattr(nameservers, "STAGGER", 5)
    other, knowing = resolvers(mood), resolvers(knows)
    answer, took = look_up(*((other, knowing) if first else (knowing, other)))
    assert answer == Answer(NAME, BOTH, 60)
    assert took < SOON
    assert first or not other.asked


def test_one_of_two_is_dead(resolvers: Start) -> None:
    answer, took = look_up(dead(), resolvers(knows))
    assert answer == Answer(NAME, BOTH, 60)
    assert took < SOON


def test_one_that_cannot_be_reached_costs_no_time(resolvers: Start) -> None:
    """No datagram to the broadcast address leaves a socket that did not ask for it."""
    nowhere = Nameserver("255.255.255.255")
    answer, took = look_up(nowhere)
    assert answer.reason is Unresolved.FAILURE
    assert look_up(nowhere, resolvers(knows))[0].addresses == BOTH
    assert took < SOON


def test_a_name_without_ipv6_asks_no_second_resolver(resolvers: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the usual case, and the second one may be dead."""
    only_four = resolvers(
        lambda query, wire: knows(query, wire) if is_four(query) else says(dns.rcode.NOERROR)(query, wire)
    )
    second = resolvers(silent)
    monkeypatch.setattr(nameservers, "STAGGER", 5)
    assert look_up(only_four, second)[0] == Answer(NAME, BOTH[:1], 60)
    assert not second.asked


def test_a_name_that_no_resolver_knows_does_not_exist(resolvers: Start) -> None:
    unknown = says(dns.rcode.NXDOMAIN)
    answer, took = look_up(resolvers(unknown), resolvers(unknown))
    assert answer == Answer(NAME, reason=Unresolved.NO_NAME)
    assert took < SOON


def test_a_denial_stands_when_the_others_are_silent_for_long_enough(resolvers: Start) -> None:
    answer, took = look_up(resolvers(says(dns.rcode.NXDOMAIN)), resolvers(silent))
    assert answer.reason is Unresolved.NO_NAME
    assert DOUBT - 0.1 < took < SOON


@pytest.mark.parametrize(
    ("moods", "reason", "detail"),
    [
        ([], Unresolved.NO_NAMESERVER, ""),
        ([silent], Unresolved.SILENCE, ""),
        ([silent, says(dns.rcode.SERVFAIL)], Unresolved.FAILURE, "SERVFAIL"),
        ([says(dns.rcode.NOERROR)], Unresolved.NO_ADDRESS, ""),
    ],
    ids=["none", "silence", "SERVFAIL", "no address"],
)
def test_the_reason_is_the_one_that_says_most(
    resolvers: Start, moods: list[Mood], reason: Unresolved, detail: str
) -> None:
    answer, took = look_up(*map(resolvers, moods), deadline=0.6)
    assert (answer.addresses, answer.reason, answer.detail) == ((), reason, detail)
    assert took < SOON


def test_an_answer_that_is_cut_is_asked_for_by_tcp(resolvers: Start) -> None:
    server = resolvers(lambda query, wire: [wire[:2] + b"\x83\x80" + wire[4:]])
    server.by_tcp = lambda query, wire: [good(query).to_wire()]
    assert look_up(server)[0] == Answer(NAME, BOTH, 60)


def test_a_question_that_got_lost_is_asked_again(resolvers: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_question, "RETRY", 0.2)
    server = resolvers()
    server.mood = lambda query, wire: knows(query, wire) if len(server.asked) > 2 else []
    answer, took = look_up(server)
    assert answer.addresses == BOTH
    assert 0.15 < took < SOON


def test_a_resolver_that_is_being_restarted_is_asked_again(resolvers: Start) -> None:
    """Nothing listens for a moment."""
    where = dead()

    async def restarted() -> Answer:
        asked = asyncio.create_task(resolve.look_up(NAME, [where]))
        await asyncio.sleep(0.1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind((where.address, where.port))
            server.setblocking(False)
            loop = asyncio.get_running_loop()
            while not asked.done():
                waiting = asyncio.create_task(loop.sock_recvfrom(server, 512))
                await asyncio.wait({asked, waiting}, return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    wire, client = waiting.result()
                    await loop.sock_sendto(server, knows(dns.message.from_wire(wire), wire)[0], client)
                else:
                    waiting.cancel()
        return asked.result()

    assert asyncio.run(restarted()).addresses == BOTH
