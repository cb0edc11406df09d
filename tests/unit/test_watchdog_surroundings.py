"""What the watchdog makes of the machine's own addresses, routes and links."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_watchdog.journal import Problems
from mesh_watchdog.policy.observations import Surroundings
from mesh_watchdog.sense import own_addresses, own_network
from mesh_watchdog.sense.own_addresses import OwnAddresses, differ, parse
from mesh_watchdog.sense.route_messages import Places, matter

LINKS: list[dict[str, Any]] = [
    {"ifname": "lo", "flags": ["UP", "LOWER_UP"], "addr_info": [{"local": "127.0.0.1", "scope": "host"}]},
    {
        "ifname": "eth0",
        "flags": ["UP", "LOWER_UP"],
        "addr_info": [
            {"local": "203.0.113.5", "scope": "global"},
            {"local": "2001:db8::5", "scope": "global", "tentative": True},
            {"local": "fe80::1", "scope": "link"},
        ],
    },
    {"ifname": "wg0", "flags": ["UP", "LOWER_UP"], "addr_info": [{"local": "10.0.0.1", "scope": "global"}]},
]
DEFAULT = {"dst": "default", "gateway": "203.0.113.1", "dev": "eth0", "flags": []}
LAN = {"dst": "203.0.113.0/24", "dev": "eth0", "flags": []}


def test_own_addresses_are_those_that_others_could_use() -> None:
    found = parse(LINKS, {4: [DEFAULT, LAN], 6: []}, "wg0")
    assert found.surroundings == Surroundings(frozenset({ipaddress.ip_address("203.0.113.5")}), frozenset({4}))


@pytest.mark.parametrize(
    "route",
    [
        {**DEFAULT, "flags": ["linkdown"]},
        {**DEFAULT, "flags": ["dead", "linkdown"]},
        {**DEFAULT, "dev": "wg0"},
        {**DEFAULT, "dev": "eth9"},
        {**DEFAULT, "type": "unreachable", "dev": "lo"},
    ],
)
def test_a_default_route_that_leads_nowhere_or_into_the_tunnel_is_none(route: dict[str, Any]) -> None:
    assert parse(LINKS, {4: [route], 6: []}, "wg0").surroundings.versions == set()


def test_without_any_default_route_the_lan_counts_unless_there_was_one() -> None:
    assert parse(LINKS, {4: [LAN], 6: []}, "wg0").surroundings.versions == {4}
    assert parse(LINKS, {4: [LAN], 6: []}, "wg0", had_default=True).surroundings.versions == set()


def test_another_gateway_is_another_place() -> None:
    other = {**DEFAULT, "gateway": "203.0.113.2"}
    assert parse(LINKS, {4: [DEFAULT], 6: []}, "wg0") != parse(LINKS, {4: [other], 6: []}, "wg0")


def test_ipv6_without_a_default_route_is_a_way_out() -> None:
    """What some providers announce, and all of IPv6 that is given out."""
    part: dict[str, Any] = {"dst": "2000::/3", "gateway": "fe80::1", "dev": "eth0", "flags": []}
    assert parse(LINKS, {4: [DEFAULT], 6: [part]}, "wg0").surroundings.versions == {4, 6}


PLACE, OTHER = "198.51.100.7", "198.51.100.8"
BEST, NEXT = ("eth0", "203.0.113.1", "203.0.113.5"), ("eth1", "192.0.2.1", "192.0.2.5")


def by(paths: dict[str, tuple[str, str, str] | None]) -> OwnAddresses:
    """Two uplinks, both there all the time."""
    routes: list[dict[str, Any]] = [DEFAULT, {**DEFAULT, "gateway": "192.0.2.1", "metric": 200}]
    return evolve(parse(LINKS, {4: routes, 6: []}, "wg0"), paths=paths)


def test_another_way_to_a_place_in_use_is_a_change_though_every_route_is_still_there() -> None:
    """What a metric does."""
    assert differ(by({PLACE: BEST}), by({PLACE: NEXT}))
    assert differ(by({PLACE: BEST}), by({PLACE: None}))
    assert differ(by({PLACE: None}), by({PLACE: BEST}))
    assert not differ(by({PLACE: BEST}), by({PLACE: BEST}))


def test_a_place_that_was_not_in_use_before_is_no_change() -> None:
    assert not differ(by({PLACE: BEST}), by({PLACE: BEST, OTHER: NEXT}))
    assert not differ(by({PLACE: BEST, OTHER: NEXT}), by({PLACE: BEST}))


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + bytes(-len(body) % 4)


def route(network: str) -> bytes:
    """What the kernel tells of a route: struct rtmsg, then the table and the destination as attributes."""
    to = ipaddress.ip_network(network)
    body = struct.pack("=BB10x", 2 if to.version == 4 else 10, to.prefixlen) + struct.pack("=HHI", 8, 15, 254)
    packed = to.network_address.packed
    return body + (struct.pack("=HH", 4 + len(packed), 1) + packed if to.prefixlen else b"")


@pytest.mark.parametrize(
    ("data", "matters"),
    [
        (message(20, bytes(8)), True),
        (message(16, bytes(16)), True),
        (message(32, bytes(12)), True),
        (message(24, route("0.0.0.0/0")), True),
        (message(24, route("198.51.101.0/24")), False),
        (message(25, route("198.51.100.0/24")), True),
        (message(25, route("198.51.100.7/32")), True),
        (message(25, route("198.51.100.8/32")), False),
        (message(24, route("2000::/3")), True),
        (message(24, route("2001:db8:1::/48")), False),
        (message(25, route("198.51.101.0/24")) + message(25, route("::/0")), True),
        (message(24, struct.pack("=BB10x", 2, 24)), True),
        (b"\x01\x02", False),
        (struct.pack("=IHHII", 0, 20, 0, 0, 0), False),
        (struct.pack("=IHHII", 999, 20, 0, 0, 0), False),
    ],
)
def test_only_messages_about_a_way_that_is_needed_matter(data: bytes, matters: bool) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(data)
        assert own_network.drain(ours, Places([PLACE, "2001:db8::7", "fe80::1%eth0"])) is matters


@given(st.binary(max_size=64))
def test_no_message_is_too_strange(body: bytes) -> None:
    for kind in (16, 20, 24, 25, 32):
        matter(message(kind, body), Places([PLACE]))
    matter(body, Places([]))


def test_of_places_that_are_new_only_these_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand peers, of which one has roamed."""
    asked = list[frozenset[str]]()

    def paths(places: frozenset[str], mark: int) -> dict[str, tuple[str, str, str] | None]:
        asked.append(places)
        return dict.fromkeys(places, BEST)

    async def story() -> None:
        in_use = {PLACE}
        sense = own_network.OwnNetwork("wg0", Problems(), lambda: "", lambda: (frozenset(in_use), 0))
        sense._own = by({OTHER: NEXT})
        await sense.look()
        await asyncio.sleep(0.05)
        assert sense._own.paths == {OTHER: NEXT, PLACE: BEST}
        in_use.add("198.51.100.9")
        await sense.look()
        await sense.stop()

    monkeypatch.setattr(own_addresses, "paths", paths)
    asyncio.run(story())
    assert asked == [{PLACE}], "and not again within five seconds"
