"""A crowd of peers at one address where no machine is: they do not take the interface, nor the peers that live."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.running_watchdog import Watchdog
from lab import Lab
from lab.mesh import Mesh
from lab.node import Node
from lab.waiting import until
from mesh_sync.wireguard import keys

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CROWD = 600
"""Without a bound they fill the socket of wireguard-go within 10 s: 256 packets wait for a dead neighbour at most."""
ALL = Path(__file__).with_name("watchdog_of_all.py")
GONE = "203.0.113.200"
LOOKS = 25
"""Readings, a second apart: WireGuard begins its handshakes again every 5 s."""


def has_answered(node: Node, argv: list[str]) -> bool:
    try:
        return node.run(argv, timeout=30).returncode == 0
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return False


def test_a_crowd_at_a_dead_address_holds_up_neither_wg_nor_a_run_nor_live_peers(lab: Lab) -> None:
    mesh = Mesh(lab, networks=["10.0.0.0/16"])
    a, b = (mesh.node(name, number, persistent_keepalive=0) for name, number in (("a", 11), ("b", 12)))
    for number in range(CROWD):
        mesh.set(
            f"gone{number}",
            public_key=keys.public_key(keys.generate()),
            addresses=[f"10.0.{number // 250 + 1}.{number % 250 + 1}"],
            endpoint=f"{GONE}:{20_000 + number}",
        )
    mesh.push()
    mesh.now()
    watchdog = Watchdog(a, argv=(sys.executable, ALL))
    try:
        watchdog.ready()
        until(lambda: watchdog.peer("b")["state"] == "up", 60, what=watchdog.said)
        for _ in range(LOOKS):
            assert has_answered(a, ["wg", "show", "wg0", "dump"])
            assert has_answered(a, ["ping", "-c1", "-W10", "10.0.0.12"])
            time.sleep(1)
        assert has_answered(a, ["mesh-sync", "now"])
        assert watchdog.peer("b")["state"] == "up"
    finally:
        watchdog.end()
    assert has_answered(b, ["mesh-sync", "now"])
