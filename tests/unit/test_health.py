"""Whom a run asks for a sign of life, and how many at a time: the probes that arrive on the loopback interface; and how
often it reads the counters for that.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_sync.reconcile.health import SMALL, SOME, heard_of, watch
from mesh_sync.reconcile.health_goal import Goal, Patience
from mesh_sync.wireguard.desired import DesiredPeer
from mesh_sync.wireguard.live import LivePeer
from mesh_sync.wireguard.probe import DISCARD
from unit.believed import applied_node

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
    peers = [DesiredPeer(one, one, (f"{one}/32",), frozenset()) for one in addresses]
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


WG = """echo look >> {looks}
printf 'private\\tme\\t51820\\toff\\nkey\\t(none)\\t(none)\\t(none)\\t0\\t%s\\t0\\toff\\n' $(wc -l < {looks})"""
"""An interface of one peer, who has sent more at every look."""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, looks: Path) -> None:
    """Programs that say the same each time, but for `wg`; of that, each look is written down."""
    looks.touch()
    for name, script in (("wg", WG.format(looks=looks)), ("ip", "echo '[]'"), ("git", "sleep 0.2; exit 1")):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize(("sought", "most"), [(frozenset({"key"}), 2), (frozenset[str](), 0)], ids=["one", "none"])
def test_who_was_heard_or_is_not_looked_for_costs_no_look_at_the_counters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sought: frozenset[str], most: int
) -> None:
    looks = tmp_path / "looks"
    stand_in(tmp_path, monkeypatch, looks)
    missed, _ = watch(applied_node(tmp_path), Goal(sought, remote=True), {}, Patience(0.5, 0.5))
    assert missed == Goal(remote=True)
    assert len(looks.read_text().splitlines()) == most


def test_a_peer_that_changes_its_key_is_heard_under_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, peer = tmp_path / "looks", DesiredPeer("b", "old", (), frozenset(), next_public_key="key")
    stand_in(tmp_path, monkeypatch, looks)
    assert heard_of("wg0", [peer], {"key": LivePeer("key", frozenset())}, 30) == {"b"}
