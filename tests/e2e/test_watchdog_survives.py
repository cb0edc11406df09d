"""mesh-watchdog lives through clocks that jump, sudden death, a vanished interface or `wg`, and broken files.

`a` watches `b`, which lives, and `lost`, which was never there and so is looked for all the time.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest

from e2e.running_watchdog import Watchdog, endpoint, watching
from lab import Lab
from lab.firewall import NEVER_SPEAKS_FIRST
from lab.logged import LoggedPrograms, sets_endpoint
from lab.mesh import Mesh, key_of
from lab.node import Node
from lab.tree import ENVIRONMENT
from lab.waiting import until
from mesh_sync.wireguard import keys

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PORT = 51820
STATE = "/var/lib/mesh-sync/wg0/state.json"
MEMORY = "/var/lib/mesh-sync/wg0/watchdog.json"
DECADES = 40 * 365 * 86400

NO_HANDSHAKE_BEGINS = """
    table ip patient {
        chain output {
            type filter hook output priority 0
            udp sport 51820 udp length 156 drop
        }
    }"""
"""On top of not speaking first: WireGuard would begin a handshake 15 s after data that nobody answered."""

# Found first on PYTHONPATH, it moves what Python takes for the time of day, and nothing else.
CLOCK = """
import datetime, time
true, real = time.time, datetime.datetime

def shifted():
    try:
        with open("/run/home/clock") as file:
            return true() + float(file.read() or 0)
    except OSError:
        return true()

class Shifted(real):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(shifted(), tz)

time.time = shifted
datetime.datetime = Shifted
"""


class World:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.mesh = Mesh(lab)
        self.a = self.mesh.node("a", 11, persistent_keepalive=0)
        self.b = self.mesh.node("b", 12, persistent_keepalive=0)
        self.b.nft(NEVER_SPEAKS_FIRST)
        self.lost = keys.public_key(keys.generate())
        lab.dns.set("lost.example", "203.0.113.200", "203.0.113.201")
        self.mesh.set("lost", public_key=self.lost, addresses=["10.0.0.50"], endpoint=f"lost.example:{PORT}")
        self.mesh.push()
        self.mesh.now()
        self.b_key = key_of(self.b)


@pytest.fixture(scope="module")
def world(lab: Lab) -> World:
    return World(lab)


# -- clocks


class Clock:
    """The time of day as the watchdog sees it: `shift` seconds off."""

    def __init__(self, node: Node) -> None:
        self._file = node.path("/run/home/clock")
        place = node.path("/run/home/clockwork")
        place.mkdir(exist_ok=True)
        (place / "sitecustomize.py").write_text(CLOCK)
        self.env = {"PYTHONPATH": "/run/home/clockwork"}

    def shift(self, seconds: float) -> None:
        aside = self._file.with_suffix(".new")
        aside.write_text(str(seconds))
        aside.replace(self._file)


def test_a_clock_that_jumps_neither_stalls_nor_floods(world: World) -> None:
    """1970 at boot, then decades on, then an hour back: systemd hears of it every second all the while."""
    clock = Clock(world.a)
    clock.shift(-time.time())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(world.a.directory / "run/home/systemd"))
        systemd.settimeout(5)
        env = {"NOTIFY_SOCKET": "/run/home/systemd", "WATCHDOG_USEC": "2000000"}
        with watching(world.a, {**clock.env, **env}) as watchdog:
            assert "00:00:0" in watchdog.said()  # 1970, for the log
            for shift in (-time.time(), DECADES, DECADES - 3600, 0):
                clock.shift(shift)
                before = watchdog.written()
                alive = pings_of_life(systemd, 4)
                assert 2 <= alive <= 6, f"{alive} in 4 s with the clock {shift:.0f} s off"
                until(lambda before=before: watchdog.written()["written"] > before["written"])  # type: ignore[misc]
                after = watchdog.written()
                assert after["readings"] - before["readings"] < 10 * (after["written"] - before["written"] + 1)
            assert watchdog.peer("b")["state"] == "up"
            assert watchdog.peer("b")["writes"] == 0
    (world.a.directory / "run/home/systemd").unlink()


def pings_of_life(systemd: socket.socket, seconds: float) -> int:
    """How often the watchdog tells systemd within that time that it is alive."""
    systemd.setblocking(False)
    try:
        while systemd.recv(4096):
            pass
    except BlockingIOError:
        systemd.settimeout(0.2)
    end, told = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            told += systemd.recv(4096).decode().splitlines().count("WATCHDOG=1")
        except TimeoutError:
            continue
    return told


# -- sudden death


def test_killed_at_any_moment_it_looks_before_it_writes(world: World, tmp_path: Path) -> None:
    chance = random.Random(11)
    logged = LoggedPrograms(tmp_path)
    for life in range(4):
        watchdog = Watchdog(world.a, logged.env)
        time.sleep(chance.uniform(0.3, 3.0))
        watchdog.end(signal.SIGKILL)
        calls = logged.calls()
        writes = [index for index, call in enumerate(calls) if sets_endpoint(call)]
        looks = [index for index, call in enumerate(calls) if call == "wg show wg0 dump"]
        # Once to see, and once more under the lock; a peer with an endpoint has 5 s at least to say something.
        assert not writes, f"in life {life}: {calls}"
        assert len(looks) < 100
    with watching(world.a, logged.env) as watchdog:
        until(lambda: watchdog.all_are("up", "b"))
        until(lambda: watchdog.all_are("hunted", "lost"))
        until(lambda: watchdog.peer("lost")["writes"])
        assert watchdog.peer("b")["writes"] == 0


def test_after_a_restart_it_remembers_where_peers_were(world: World) -> None:
    """No name server answers, the list knows only the name, and the interface has an endpoint where nobody is."""
    with watching(world.a) as watchdog:
        until(lambda: watchdog.all_are("up", "b"))
        until(lambda: world.b_key in json.loads(world.a.path(MEMORY).read_text())["good"])
        watchdog.end(signal.SIGKILL)
    state = json.loads(world.a.path(STATE).read_text())
    known = json.loads(world.a.path(MEMORY).read_text())
    assert known["good"][world.b_key] == f"203.0.113.12:{PORT}"
    world.lab.dns.freeze()
    world.b.nft(NO_HANDSHAKE_BEGINS)
    try:
        world.a.run(["wg", "set", "wg0", "peer", world.b_key, "endpoint", f"203.0.113.222:{PORT}"])
        without = {**state, "applied": {**state["applied"], "resolved": {}}}
        world.a.path(STATE).write_text(json.dumps(without))
        world.a.path(MEMORY).write_text(json.dumps({**known, "names": {}}))
        with watching(world.a) as watchdog:
            until(lambda: endpoint(world.a, world.b_key) == f"203.0.113.12:{PORT}", 40, what=watchdog.said)
            until(lambda: watchdog.all_are("up", "b"))
            until(lambda: watchdog.peer("b")["writes"])
    finally:
        world.a.path(STATE).write_text(json.dumps(state))
        world.lab.dns.thaw()
        world.b.run(["nft", "delete", "table", "ip", "patient"])


# -- things that are missing or broken for a while


def test_an_interface_that_goes_and_comes_back_is_watched_again(world: World) -> None:
    with watching(world.a) as watchdog:
        until(lambda: watchdog.all_are("up", "b"))
        world.a.run(["mesh-sync", "down"])
        until(lambda: not watchdog.written()["interface_up"])
        assert watchdog.all_are("missing")
        world.a.run(["mesh-sync", "up"])
        until(lambda: watchdog.written()["interface_up"] and watchdog.all_are("up", "b"))
        assert watchdog.peer("b")["writes"] == 0


def test_without_wg_it_waits_until_there_is_one(world: World, tmp_path: Path) -> None:
    for program in ("wg", "ip", "nsenter", "setsid", "mesh-watchdog"):
        (tmp_path / program).symlink_to(shutil.which(program, path=ENVIRONMENT["PATH"]) or program)
    wg = tmp_path / "wg"
    with watching(world.a, {"PATH": str(tmp_path)}) as watchdog:
        until(lambda: watchdog.all_are("up", "b"))
        there = wg.readlink()
        wg.unlink()
        until(lambda: "wg is not installed" in str(watchdog.written()["problems"]))
        assert watchdog.program.poll() is None
        wg.symlink_to(there)
        until(lambda: not watchdog.written()["problems"], what=watchdog.written)
        until(lambda: watchdog.all_are("up", "b"))
        assert watchdog.peer("b")["writes"] == 0
        assert "wg0 can be read again" in watchdog.said()


def remembers(world: World) -> bool:
    """Whether the watchdog's memory is whole again, and b is in it."""
    try:
        good = json.loads(world.a.path(MEMORY).read_text())["good"]
    except ValueError:
        return False
    return isinstance(good, dict) and world.b_key in good


@pytest.mark.parametrize("broken", ["", "{", '{"version": 1, "good": 7, "names": []}'])
def test_a_broken_memory_is_none(world: World, broken: str) -> None:
    world.a.path(MEMORY).write_text(broken)
    with watching(world.a) as watchdog:
        until(lambda: watchdog.all_are("up", "b"))
        until(lambda: remembers(world))


def test_a_broken_state_is_told_and_outlived(world: World) -> None:
    good = world.a.path(STATE).read_text()
    with watching(world.a) as watchdog:
        until(lambda: watchdog.all_are("up", "b"))
        try:
            for broken in ("", "{", "[]", '{"version": 1, "wanted": {"peers": 3}}'):
                world.a.path(STATE).write_text(broken)
                until(lambda: "is broken" in str(watchdog.written()["problems"]))
                assert watchdog.program.poll() is None
        finally:
            aside = world.a.path(STATE + ".new")
            aside.write_text(good)
            aside.replace(world.a.path(STATE))
        until(lambda: not watchdog.written()["problems"])
        until(lambda: watchdog.all_are("up", "b"))
        assert watchdog.peer("b")["writes"] == 0


# -- signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_ends_at_once_and_well(world: World, number: signal.Signals) -> None:
    for after in (0.0, 2.5):  # a hunt is under way, or is not
        with watching(world.a) as watchdog:
            time.sleep(after)
            began = time.monotonic()
            assert watchdog.end(number) == 0, watchdog.said()
            assert time.monotonic() - began < 10
        assert "Traceback" not in watchdog.said()


def test_sighup_takes_up_a_new_configuration_and_keeps_the_old_one_when_it_is_broken(world: World) -> None:
    file = world.a.path("/etc/mesh-sync/node.toml")
    good = file.read_text()
    with watching(world.a) as watchdog:
        until(lambda: watchdog.all_are("up", "b"), 30)
        try:
            watchdog.program.send_signal(signal.SIGHUP)
            until(lambda: "has not changed" in watchdog.said(), 30)
            world.mesh.configure(world.a, watchdog={"news": False, "idle_interval": -1})
            watchdog.program.send_signal(signal.SIGHUP)
            until(lambda: "the old configuration stays" in watchdog.said(), 30)
            world.mesh.configure(world.a, watchdog={"news": False, "idle_interval": 1})
            watchdog.program.send_signal(signal.SIGHUP)
            until(lambda: "has changed" in watchdog.said() and watchdog.said().count("watching wg0") >= 2, 30)
            until(lambda: watchdog.all_are("up", "b"), 30)
            assert watchdog.peer("b")["writes"] == 0
        finally:
            file.write_text(good)
        assert watchdog.program.poll() is None
        watchdog.program.send_signal(signal.SIGHUP)
        for _ in itertools.repeat(None, 5):
            watchdog.program.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert watchdog.end() == 0, watchdog.said()
