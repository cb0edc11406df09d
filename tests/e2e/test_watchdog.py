"""mesh-watchdog on real WireGuard: it starts, tells, recovers a peer, and ends."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Lab
from lab.mesh import Mesh, dump
from lab.node import Node
from lab.program import Program
from lab.router import Router
from lab.waiting import LONG, until

pytestmark = pytest.mark.e2e

SOON = 20
"""Seconds, on a busy machine; without a watchdog it would never be."""
OLD, NEW = "203.0.113.12", "203.0.113.77"


class World:
    """a watches; b sits behind a router that forwards to it and lets nothing begin from inside."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        mesh = Mesh(lab)
        self.a = mesh.node("a", 11, persistent_keepalive=0)
        site = lab.site("b", "192.168.20.0/24", OLD)
        self.router: Router = site.router
        self.b = mesh.enlist("b", site.gateway, address="10.0.0.12", endpoint="b.example:51820", persistent_keepalive=0)
        lab.dns.set("b.example", OLD)
        mesh.push()
        mesh.now()
        self.router.nft("""
            table ip shut {
                chain forward {
                    type filter hook forward priority 0
                    iifname "lan" ct direction original drop
                }
            }""")

    def move(self, address: str) -> None:
        """The provider gives b's router another address; b does not notice, and cannot tell anybody but DNS."""
        self.router.renumber(address)
        self.lab.dns.set("b.example", address)
        self.a.run(["ip", "neigh", "flush", "all"])

    def endpoint_of_b(self) -> str:
        [peer] = (fields for key, fields in dump(self.a).items() if key)
        return peer["endpoint"]


@pytest.fixture(scope="module")
def world(lab: Lab) -> World:
    return World(lab)


@pytest.fixture
def watchdog(world: World) -> Iterator[Program]:
    """A running watchdog on a, which knows that it is told to be ready."""
    program = world.a.popen(["mesh-watchdog", "run"])
    until(lambda: (shown := status(world.a)) is not None and shown["running"])
    yield program
    if program.poll() is None:
        program.terminate()
        program.communicate(timeout=LONG)


def status(node: Node) -> dict[str, Any] | None:
    done = node.run(["mesh-watchdog", "status", "--json"], check=False)
    if done.returncode:
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def state_of_b(node: Node) -> str:
    found = status(node)
    assert found is not None
    [peer] = found["peers"]
    state: str = peer["state"]
    return state


def end(program: Program, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    program.send_signal(number)
    said, _ = program.communicate(timeout=LONG)
    return program.returncode, said


def test_it_says_when_it_was_never_there(world: World) -> None:
    done = world.b.run(["mesh-watchdog", "status"], check=False)
    assert done.returncode == 6
    assert "no watchdog has run for wg0" in done.stderr


def test_it_starts_and_ends_as_systemd_wants(world: World) -> None:
    """READY once it watches, STOPPING when told to, exit code 0."""
    place = world.a.path("/run/home/notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(world.a.directory / "run/home/notify"))
        systemd.settimeout(10)
        program = world.a.popen(["mesh-watchdog", "run"], env={"NOTIFY_SOCKET": "/run/home/notify"})
        told = systemd.recv(4096).decode()
        while "READY=1" not in told:
            told = systemd.recv(4096).decode()
        code, said = end(program)
        assert code == 0, said
        while "STOPPING=1" not in told:
            told = systemd.recv(4096).decode()
    place.unlink()


def test_it_shows_peers_that_are_up(world: World, watchdog: Program) -> None:
    until(lambda: state_of_b(world.a) == "up")
    found = status(world.a)
    assert found is not None
    [peer] = found["peers"]
    assert peer["name"] == "b"
    assert peer["endpoint"] == f"{OLD}:51820"
    assert peer["source"] == "dns"
    assert peer["writes"] == found["writes"] == 0
    assert {"state", "since", "dns", "switches", "last_recovery"} <= peer.keys()
    assert "up" in world.a.run(["mesh-watchdog", "status"]).stdout


def test_there_is_only_one(world: World, watchdog: Program) -> None:
    done = world.a.run(["mesh-watchdog", "once"], check=False)
    assert done.returncode == 7
    assert "another mesh-watchdog watches wg0" in done.stderr


def test_a_peer_that_moved_under_traffic_is_recovered(world: World, watchdog: Program) -> None:
    until(lambda: state_of_b(world.a) == "up")
    ping = world.a.popen(["ping", "-q", "-i", "0.2", "10.0.0.12"])
    time.sleep(6)
    world.move(NEW)
    try:
        took = until(lambda: world.endpoint_of_b() == f"{NEW}:51820")
        until(lambda: state_of_b(world.a) == "up")
    finally:
        end(ping, signal.SIGINT)
    assert took < SOON
    time.sleep(2)  # until the status file says it, too
    found = status(world.a)
    assert found is not None
    [peer] = found["peers"]
    assert (peer["switches"], peer["writes"]) == (1, 1)
    assert peer["last_recovery"] < SOON
    world.move(OLD)
    world.a.run(["wg", "set", "wg0", "peer", key_of_b(world), "endpoint", f"{OLD}:51820"])
    code, said = end(watchdog)
    assert code == 0
    assert "b does not answer at 203.0.113.12:51820" in said
    assert "b is back at 203.0.113.77:51820" in said
    assert key_of_b(world) not in said


def key_of_b(world: World) -> str:
    [key] = (key for key in dump(world.a) if key)
    return key
