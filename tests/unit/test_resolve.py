"""Nameservers that lie, fail, or say nothing decide about no name while another one knows better."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from mesh_sync.names import nameservers, resolve
from mesh_sync.names.nameservers import DOUBT, Answer, Nameserver, Unresolved
from unit.hostile_resolver import FOUR, NAME, SIX, Mood, Resolver, good, is_four, knows, resolvers, says

__all__ = ["resolvers"]
BOTH = (ip_address(FOUR), ip_address(SIX))
Start = Callable[..., Resolver]
SOON = 3
"""Seconds, on a machine that has much to do: nothing waited for the deadline."""


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


def slow(query: dns.message.Message, wire: bytes) -> list[bytes]:
    time.sleep(0.1)
    return knows(query, wire)


def dead() -> Nameserver:
    """A port where nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return Nameserver(*free.getsockname())


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
    monkeypatch.setattr(resolve, "RETRY", 0.2)
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


def test_the_usable_resolvers_are_the_callers_to_say(resolvers: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    other, server = resolvers(knows), resolvers(knows)
    assert resolve.resolve([NAME], servers=[server.where])[NAME].addresses == BOTH
    assert not other.asked


def test_resolv_conf_is_read_again_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "resolv.conf"
    monkeypatch.setattr(resolve, "RESOLV_CONF", file)
    assert resolve.nameservers() == ()
    file.write_text("nameserver 192.0.2.1\n")
    assert resolve.nameservers() == (Nameserver("192.0.2.1"),)
    file.write_text("nameserver 192.0.2.2\n")
    assert resolve.nameservers() == (Nameserver("192.0.2.2"),)


def test_names_that_dns_does_not_serve_are_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "getent"
    fake.write_text(
        '#!/bin/sh\n[ "$2" = b.local ] && exit 2\n[ "$2" = slow ] && exec /bin/sleep 9\necho 192.0.2.7 STREAM x\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    began = time.monotonic()
    answers = resolve.resolve(["anna", "b.local", "slow"], 1.0, servers=[])
    assert time.monotonic() - began < 1.5
    assert answers["anna"] == Answer("anna", (ip_address("192.0.2.7"),))
    assert answers["b.local"].reason is Unresolved.NO_NAME
    assert answers["slow"].reason is Unresolved.FAILURE
