"""What the watchdog makes of the machine's own addresses, routes and links."""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Any

import pytest

from mesh_watchdog.policy.events import Surroundings
from mesh_watchdog.sense import own_network
from mesh_watchdog.sense.own_addresses import parse

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


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + bytes(-len(body) % 4)


@pytest.mark.parametrize(
    ("data", "matters"),
    [
        (message(20, bytes(8)), True),
        (message(16, bytes(16)), True),
        (message(24, bytes([2, 0, 0, 0])), True),
        (message(24, bytes([2, 24, 0, 0])), False),
        (message(25, bytes([2, 24, 0, 0])) + message(25, bytes([10, 0, 0, 0])), True),
        (b"\x01\x02", False),
        (struct.pack("=IHHII", 0, 20, 0, 0, 0), False),
        (struct.pack("=IHHII", 999, 20, 0, 0, 0), False),
    ],
)
def test_only_messages_about_the_way_out_matter(data: bytes, matters: bool) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(data)
        assert own_network.drain(ours) is matters
