"""The two halves of a round, by sockets of this machine."""

from __future__ import annotations

import asyncio
import random
import socket
import time

from mesh_watchdog.birthday.knocks import LOWEST, MOST, RATE, WITHIN, knock, ports
from mesh_watchdog.birthday.many_ports import SOCKETS, ManyPorts


def test_each_port_is_chosen_once_and_none_that_no_nat_gives_out() -> None:
    chosen = list(ports(random.Random(1)))
    assert len(set(chosen)) == len(chosen) == MOST
    assert min(chosen) >= LOWEST


def test_knocks_are_no_more_than_allowed_and_never_faster() -> None:
    sent = list[float]()

    def send(port: int) -> str:
        sent.append(time.monotonic())
        return ""

    began = time.monotonic()
    assert asyncio.run(knock(send, random.Random(1))) == ""
    assert 0 < len(sent) <= MOST
    assert all(number + 1 <= (moment - began) * RATE + 20 for number, moment in enumerate(sent))
    assert sent[-1] - began <= WITHIN + 1.0


def test_what_this_machine_may_not_do_ends_the_round() -> None:
    sent = list[int]()

    def send(port: int) -> str:
        sent.append(port)
        return "no"

    assert asyncio.run(knock(send, random.Random(1))) == "no"
    assert len(sent) == 1


async def opened(*, from_target: bool) -> tuple[list[int], int, int]:
    """Send to one of the open ports; return the hits, and how many sent a packet and were open then."""
    hits = list[int]()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        for sock in (target, other):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        many = ManyPorts(hits.append)
        await many.open(target.getsockname(), 3, 0)
        sources = set[tuple[str, int]]()
        for _ in range(SOCKETS):
            sources.add((await asyncio.get_running_loop().sock_recvfrom(target, 16))[1])
        for place in sorted(sources)[:2]:
            (target if from_target else other).sendto(b"\0", place)
        await asyncio.sleep(0.2)
        still = len(many._open)
        many.close()
        return hits, len(sources), still


def test_each_socket_sends_one_packet_and_the_first_that_is_hit_closes_all() -> None:
    hits, sources, still = asyncio.run(opened(from_target=True))
    assert (len(hits), sources, still) == (1, SOCKETS, 0)


def test_what_comes_from_elsewhere_is_no_knock() -> None:
    hits, _, still = asyncio.run(opened(from_target=False))
    assert (hits, still) == ([], SOCKETS)
