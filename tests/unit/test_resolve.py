"""Nameservers that lie, fail, or say nothing decide about no name while another one knows better."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from mesh_sync.names import dns_question, nameservers, resolve, system_names
from mesh_sync.names.hosts_file import parse_hosts
from mesh_sync.names.nameservers import DOUBT, Answer, Nameserver, Unresolved
from mesh_sync.names.nsswitch import parse_nsswitch
from mesh_sync.names.resolv_conf import parse_resolv_conf
from mesh_sync.names.system_names import SystemNames
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


def test_the_usable_resolvers_are_the_callers_to_say(resolvers: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    other, server = resolvers(knows), resolvers(knows)
    assert resolve.resolve([NAME], servers=[server.where])[NAME].addresses == BOTH
    assert not other.asked


def test_resolv_conf_is_read_again_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "resolv.conf"
    monkeypatch.setattr(system_names, "ETC", tmp_path)
    assert resolve.nameservers() == (Nameserver("127.0.0.1"),), "as glibc"
    file.write_text("nameserver 192.0.2.1\n")
    assert resolve.nameservers() == (Nameserver("192.0.2.1"),)
    file.write_text("".join(f"nameserver 192.0.2.{number}\n" for number in range(2, 6)))
    expected = tuple(Nameserver(f"192.0.2.{number}") for number in (2, 3, 4))
    assert resolve.nameservers() == expected, "the system asks three"
    with file.open("a") as more:
        more.write("options rotate\n")
    begun_with = set()
    for _ in range(100):
        begun_with.add((servers := resolve.nameservers())[0])
        assert set(servers) == set(expected)
    assert begun_with == set(expected)


def test_a_machine_without_a_nameserver_is_told_so_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_names, "ETC", tmp_path)
    monkeypatch.setattr(resolve, "LOCAL", nothing := dead())
    monkeypatch.setattr(system_names, "LOCAL", nothing)
    began = time.monotonic()
    assert resolve.resolve([NAME], 20)[NAME].reason is Unresolved.NO_NAMESERVER
    assert time.monotonic() - began < SOON


def system(nsswitch: str, hosts: str = "", resolv: str = "", hostname: str = "") -> SystemNames:
    return SystemNames(parse_nsswitch(nsswitch), parse_hosts(hosts), parse_resolv_conf(resolv), hostname)


def test_what_another_module_knows_is_asked_of_it_in_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolvers: Start
) -> None:
    fake = tmp_path / "getent"
    fake.write_text(
        '#!/bin/sh\necho "$2" >> "$0.log"\n[ "$4" = b.local ] && exit 2\n'
        '[ "$4" = slow ] && exec /bin/sleep 9\necho 192.0.2.7 STREAM x\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    files = system("hosts: files mdns4_minimal [NOTFOUND=return] libvirt dns")

    async def ask(*hosts: str) -> list[Answer]:
        server = [resolvers(knows).where]
        asked = (resolve.look_up(host, server, deadline=1.0, system=files) for host in hosts)
        return list(await asyncio.gather(*asked))

    began = time.monotonic()
    anna, mdns, slow = asyncio.run(ask("anna", "b.local", "slow"))
    assert time.monotonic() - began < 1.5
    assert anna == Answer("anna", (ip_address("192.0.2.7"),))
    assert mdns.addresses == BOTH, "a module that this machine does not have does not end the search"
    assert slow.reason in (None, Unresolved.FAILURE)
    assert sorted(set((tmp_path / "getent.log").read_text().split())) == ["hosts:libvirt", "hosts:mdns4_minimal"]


def test_a_name_in_etc_hosts_asks_no_nameserver(resolvers: Start) -> None:
    server = resolvers(knows)
    files = system("hosts: files dns", f"192.0.2.9 {NAME.upper()} a\n2001:db8::9 {NAME}\n192.0.2.9 {NAME}\n")
    expected = (ip_address("192.0.2.9"), ip_address("2001:db8::9"))
    assert asyncio.run(resolve.look_up(NAME, [server.where], system=files)) == Answer(NAME, expected)
    assert not server.asked
    files = system("hosts: dns files", f"192.0.2.9 {NAME}\n")
    assert asyncio.run(resolve.look_up(NAME, [server.where], system=files)).addresses == BOTH
    assert asyncio.run(resolve.look_up(NAME, [], system=files)).addresses == expected[:1], "without any nameserver"


def test_the_search_list_completes_a_name_and_one_that_is_too_long_costs_nothing(resolvers: Start) -> None:
    asked = []

    def only_complete(query: dns.message.Message, wire: bytes) -> list[bytes]:
        asked.append(name := str(query.question[0].name))
        return knows(query, wire) if name == "a.b.example." else says(dns.rcode.NXDOMAIN)(query, wire)

    server = resolvers(only_complete)
    files = system("hosts: dns", resolv=f"nameserver 192.0.2.1\nsearch {'x' * 70} a..b c.example b.example\n")
    found = asyncio.run(resolve.look_up("a", [server.where], system=files))
    assert (found.host, found.addresses) == ("a", BOTH)
    assert set(asked) == {"a.c.example.", "a.b.example."}


@pytest.mark.parametrize(
    ("options", "expected"),
    [("no-aaaa", ["A"]), ("use-vc", []), ("single-request", ["A", "AAAA"])],
)
def test_options_of_resolv_conf(resolvers: Start, options: str, expected: list[str]) -> None:
    server = resolvers(slow)
    files = system("hosts: dns", resolv=f"options {options}\n")
    found = asyncio.run(resolve.look_up(NAME, [server.where], system=files))
    assert found == Answer(NAME, BOTH[:1] if options == "no-aaaa" else BOTH, 60)
    assert server.asked == expected
