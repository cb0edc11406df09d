"""Whom a run asks for a sign of life, and how many at a time: the probes that arrive on the loopback interface."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from mesh_sync.reconcile.health import SMALL, SOME, heard_of
from mesh_sync.wireguard.desired import DesiredPeer
from mesh_sync.wireguard.probe import DISCARD

IP_PKTINFO = 8
"""ip(7); the socket module knows it from Python 3.12 on."""


@pytest.fixture
def arriving() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as made:
        made.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        made.bind(("0.0.0.0", DISCARD))
        yield made


def asked(arriving: socket.socket, count: int) -> list[str]:
    """The addresses of ``count`` peers to which probes have come, in their order; none of them answers."""
    addresses = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(count)]
    peers = {one: DesiredPeer(one, one, (f"{one}/32",), frozenset()) for one in addresses}
    assert not heard_of("lo", peers, {}, 0.2)
    found: list[str] = []
    while True:
        try:
            _, told, _, _ = arriving.recvmsg(1, 100)
        except BlockingIOError:
            return found
        found.append(socket.inet_ntoa(told[0][2][8:12]))


def test_of_a_crowd_some_are_asked_at_a_time_and_all_in_their_turn(arriving: socket.socket) -> None:
    found = asked(arriving, 300)
    assert len(found) % SOME == 0
    assert len(found) == len({*found}) < 300


def test_a_small_mesh_is_asked_all_at_once(arriving: socket.socket) -> None:
    found = asked(arriving, SMALL)
    assert len({*found}) == SMALL
