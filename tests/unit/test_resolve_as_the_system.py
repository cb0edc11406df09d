"""Names are looked up as the system does it: its files, its order, its options."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from mesh_sync.names import resolve, system_names
from mesh_sync.names.hosts_file import parse_hosts
from mesh_sync.names.nameservers import Answer, Nameserver, Unresolved
from mesh_sync.names.nsswitch import parse_nsswitch
from mesh_sync.names.resolv_conf import parse_resolv_conf
from mesh_sync.names.system_names import SystemNames
from unit.hostile_resolver import (
    BOTH,
    NAME,
    SOON,
    Start,
    dead,
    knows,
    resolvers,
    says,
    slow,
)

__all__ = ["resolvers"]


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

    def only_complete(query: dns.message.Message, wire: bytes) -> Iterable[bytes]:
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
