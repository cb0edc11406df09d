"""Whatever a resolver answers, a look-up is done in time, raises nothing, and takes no more than addresses from it."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address

import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from mesh_sync.names.nameservers import Answer
from mesh_sync.names.resolve import look_up, resolve
from unit.hostile_resolver import NAME, Mood, Resolver, good, resolvers

__all__ = ["resolvers"]


@pytest.fixture
def resolver(resolvers: Callable[[], Resolver]) -> Resolver:
    return resolvers()


def find(resolver: Resolver, seconds: float = 0.5) -> Answer:
    """Look the name up; it is done in time."""
    begin = time.monotonic()
    found = resolve([NAME], seconds, [resolver.where])[NAME]
    assert time.monotonic() - begin < seconds + 2
    assert all(isinstance(address, IPv4Address | IPv6Address) for address in found.addresses)
    assert found.addresses or found.problem
    assert len(found.problem) < 2000
    return found


def header(wire: bytes, *, answers: int = 1, flags: bytes = b"\x81\x80") -> bytes:
    return wire[:2] + flags + b"\0\1" + answers.to_bytes(2, "big") + b"\0\0\0\0" + wire[12 : wire.index(b"\0", 12) + 5]


def chain(query: dns.message.Message, wire: bytes) -> list[bytes]:
    """A name that is another name, that is the first."""
    answer = good(query)
    answer.answer.clear()
    for one, other in ((NAME, "b.example.org"), ("b.example.org", NAME)):
        answer.answer.append(dns.rrset.from_text(one + ".", 60, "IN", "CNAME", other + "."))
    return [answer.to_wire()]


BROKEN: dict[str, Mood] = {
    "nothing": lambda query, wire: [],
    "an empty packet": lambda query, wire: [b""],
    "noise": lambda query, wire: [random.Random(1).randbytes(500)],
    "the id and noise": lambda query, wire: [wire[:2] + random.Random(2).randbytes(500)],
    "another's id": lambda query, wire: [b"\0\0" + good(query).to_wire()[2:]],
    "the question": lambda query, wire: [wire],
    "a pointer to itself": lambda query, wire: [header(wire) + b"\xc0" + bytes([len(header(wire))]) + b"\0\1\0\1" * 4],
    "a pointer beyond the end": lambda query, wire: [header(wire) + b"\xff\xff\0\1\0\1\0\0\0\1\0\4abcd"],
    "half": lambda query, wire: [good(query).to_wire()[:-6]],
    "65,535 answers announced": lambda query, wire: [header(wire, answers=65535) + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4abcd"],
    "an address of 3 bytes": lambda query, wire: [header(wire) + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\3abc"],
    "truncated": lambda query, wire: [wire[:2] + b"\x83\x80" + wire[4:]],
    "a circle of names": chain,
    "servfail": lambda query, wire: [wire[:2] + b"\x81\x82" + wire[4:]],
}


@pytest.mark.parametrize("mood", BROKEN.values(), ids=BROKEN)
def test_an_answer_that_is_none(resolver: Resolver, mood: Mood) -> None:
    resolver.mood = mood
    resolver.by_tcp = mood
    assert find(resolver).addresses == ()
    found = asyncio.run(asyncio.wait_for(look_up(NAME, [resolver.where], deadline=0.5), 2))
    assert found.problem


def test_thousands_of_addresses_are_only_addresses(resolver: Resolver) -> None:
    many = [f"10.{number >> 8}.{number & 255}.1" for number in range(3500)]
    made: dict[dns.rdatatype.RdataType, bytes] = {}  # once: it takes longer than a busy machine has for each question

    def answer(query: dns.message.Message, wire: bytes) -> list[bytes]:
        kind = query.question[0].rdtype
        if kind not in made:
            made[kind] = good(query, *(many if kind == dns.rdatatype.A else ())).to_wire(max_size=65535)
        return [query.id.to_bytes(2, "big") + made[kind][2:]]

    resolver.mood = answer
    assert len(find(resolver, 10).addresses) == 3501


def test_answers_with_bytes_changed_at_random(resolver: Resolver) -> None:
    chance = random.Random(3)

    def spoilt(query: dns.message.Message, wire: bytes) -> list[bytes]:
        answer = bytearray(good(query).to_wire())
        for _ in range(chance.randint(1, 4)):
            answer[chance.randrange(2, len(answer))] = chance.randrange(256)
        return [bytes(answer)]

    resolver.mood = spoilt
    for _ in range(25):
        find(resolver, 0.2)


def test_a_good_answer_is_found_among_bad_ones(resolver: Resolver) -> None:
    resolver.mood = lambda query, wire: [b"", wire, b"\0\0" + wire[2:], good(query).to_wire()]
    assert find(resolver, 5).addresses


def test_noise_without_end_takes_no_longer(resolver: Resolver) -> None:
    """Of records that are dear to read; what a busy machine needs for a few of them is not the point."""
    name, begin, over = b"\1a" * 126 + b"\0", time.monotonic(), threading.Event()
    packet = header(b"\0\0" + bytes(10) + name + bytes(4), answers=300) + b"\xc0\x0c\xff\1\0\1\0\0\0\0\0\0" * 300

    def noise(query: dns.message.Message, wire: bytes) -> Iterator[bytes]:
        while time.monotonic() < begin + 20 and not over.wait(0.005):  # more often than it can be read
            yield packet

    resolver.mood = noise
    assert resolve([NAME], 0.5, [resolver.where])[NAME].addresses == ()
    took = time.monotonic() - begin
    over.set()
    assert took < 10
