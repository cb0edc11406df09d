"""What mesh-watchdog must not touch: peers that live, an interface without a way out, peers that left the list."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from e2e.running_watchdog import Watchdog, endpoint, watching
from lab import Lab
from lab.logged import LoggedPrograms
from lab.mesh import Mesh, dump, key_of, now
from lab.node import Node
from lab.ping import pinging
from lab.tree import ENVIRONMENT
from lab.waiting import until
from mesh_sync.wireguard import keys

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PORT = 51820
LONG = 38
"""Seconds: longer than an idle peer is left unasked, and an answer owed."""
DOWN = 30
MANY = 30
DEAF = """
    table inet deaf {
        chain input {
            type filter hook input priority 0
            iifname "wg0" drop
        }
    }"""


class LogsByNode(dict[str, LoggedPrograms]):
    """Programs that log, for each node its own."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    def __missing__(self, name: str) -> LoggedPrograms:
        place = self._directory / name
        place.mkdir()
        self[name] = LoggedPrograms(place)
        return self[name]


@pytest.fixture
def logs(tmp_path: Path) -> dict[str, LoggedPrograms]:
    return LogsByNode(tmp_path)


def endpoints_set(calls: list[str]) -> list[str]:
    return [call for call in calls if call.startswith("wg set") and " endpoint " in call]


# -- peers that are alive


class Alive:
    """What was seen in `LONG` seconds of peers that live, each in its own way, while DNS says otherwise of all."""

    def __init__(self, logged: LoggedPrograms) -> None:
        with Lab() as lab:
            self._watch(lab, logged)

    def _watch(self, lab: Lab, logged: LoggedPrograms) -> None:
        mesh = Mesh(lab)
        a = mesh.node("a", 11, persistent_keepalive=10)
        site = lab.site("roamed", "192.168.31.0/24", "203.0.113.31")
        lab.dns.set("roamed.example", "203.0.113.31")
        wanted = {"endpoint": f"roamed.example:{PORT}", "persistent_keepalive": 0}
        mesh.enlist("roamed", site.gateway, address="10.0.0.31", **wanted)
        deaf = mesh.node("deaf", 32, persistent_keepalive=0)
        mesh.node("quiet", 33, persistent_keepalive=60)
        mesh.push()
        mesh.now()
        deaf.nft(DEAF)
        site.router.renumber("203.0.113.131")  # it may speak, so it roams; its name stays behind
        site.gateway.run(["ping", "-c1", "-w5", "10.0.0.11"])
        roamed = key_of(site.gateway)
        self.before = endpoint(a, roamed)
        self.states: set[tuple[str, str]] = set()
        with watching(a, logged.env) as watchdog, pinging(a, "10.0.0.32"):
            until(lambda: watchdog.all_are("up"), 30)
            end = time.monotonic() + LONG
            for number in itertools.count(200):
                for name in ("roamed", "deaf", "quiet"):
                    lab.dns.set(f"{name}.example", f"203.0.113.{number}")
                time.sleep(2)
                self.states |= {(peer["name"], peer["state"]) for peer in watchdog.written()["peers"]}
                if time.monotonic() > end:
                    break
            self.shown: dict[str, Any] = watchdog.shown()
        self.after = endpoint(a, roamed)
        self.endpoints_set = endpoints_set(logged.calls())


@pytest.fixture(scope="module", autouse=True)
def alive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Alive]]:
    """Begun with the first test of the file and looked at by the last: it is all waiting."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(Alive, LoggedPrograms(tmp_path_factory.mktemp("alive")))


# -- our own uplink


class Crowd:
    """Two observers, each with the same thirty peers: `x` sees its link go down, to `y` the world just falls silent."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        mesh = Mesh(lab)
        self.names = [f"p{number}" for number in range(MANY)]
        observers = {"x": mesh.node("x", 41, persistent_keepalive=0), "y": mesh.node("y", 42, persistent_keepalive=0)}
        self.x, self.y = observers.values()
        secrets = {name: keys.generate() for name in self.names}
        for number, name in enumerate(self.names):
            lab.dns.set(f"{name}.example", f"203.0.113.{150 + number}")
            mesh.set(
                name, public_key=keys.public_key(secrets[name]), addresses=[f"10.0.0.{150 + number}"],
                endpoint=f"{name}.example:{PORT}", persistent_keepalive=0,
            )  # fmt: skip
        mesh.push()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._peer, range(MANY), secrets.values()))
        mesh.now()
        self.keys = {keys.public_key(secret): name for name, secret in secrets.items()}

    def _peer(self, number: int, secret: str) -> None:
        """A machine that speaks WireGuard and nothing else."""
        host = self.lab.node(f"p{number}", f"203.0.113.{150 + number}")
        host.add_wireguard()
        host.path("/run/home/key").write_text(secret)
        words = ["wg", "set", "wg0", "listen-port", str(PORT), "private-key", "/run/home/key"]
        for address, observer in (("10.0.0.41", "x"), ("10.0.0.42", "y")):
            words += ["peer", self._public(observer), "allowed-ips", f"{address}/32"]
        host.run(words)
        host.ip(f"address add 10.0.0.{150 + number}/24 dev wg0", "link set wg0 up")

    def _public(self, observer: str) -> str:
        node = self.x if observer == "x" else self.y
        return keys.public_key(node.path("/etc/mesh-sync/private.key").read_text().strip())

    def received(self, node: Node) -> dict[str, str]:
        return {name: fields["rx"] for key, fields in dump(node).items() if (name := self.keys.get(key))}


def all_heard(crowd: Crowd, node: Node, since: float, seconds: float) -> float:
    """Seconds from the moment until every peer was heard again."""
    before = crowd.received(node)
    silent = set(before)
    while silent and time.monotonic() - since < seconds:
        time.sleep(0.05)
        received = crowd.received(node)
        silent -= {name for name in silent if received[name] != before[name]}
    assert not silent, f"not heard after {seconds} s: {sorted(silent)}"
    return time.monotonic() - since


def test_with_the_own_uplink_down_nobody_is_looked_for_and_all_are_back_with_it(
    logs: dict[str, LoggedPrograms],
) -> None:
    with ExitStack() as stack:
        crowd = Crowd(stack.enter_context(Lab()))
        dogs = {node.name: stack.enter_context(watching(node, logs[node.name].env)) for node in (crowd.x, crowd.y)}
        for node in (crowd.x, crowd.y):
            stack.enter_context(pinging(node, *(f"10.0.0.{150 + number}" for number in range(6)), interval=0.5))
        until(lambda: all(dog.all_are("up") for dog in dogs.values()), 20)
        time.sleep(5)  # for the traffic to be a habit
        asked = {name: dog.shown()["dns_queries"] for name, dog in dogs.items()}

        crowd.x.port.unplug()
        crowd.y.port.block("ipv4")
        crowd.y.port.block("ipv6")
        time.sleep(DOWN)
        crowd.x.port.plug()
        x_up = time.monotonic()
        x_took = all_heard(crowd, crowd.x, x_up, 20)
        crowd.y.port.unblock("ipv4")
        crowd.y.port.unblock("ipv6")
        y_took = all_heard(crowd, crowd.y, time.monotonic(), 20)
        shown = {name: dog.shown() for name, dog in dogs.items()}
    queries = {name: view["dns_queries"] - asked[name] for name, view in shown.items()}
    print(f"back after: x {x_took:.1f} s, y {y_took:.1f} s; DNS queries: {queries}")
    assert {name: endpoints_set(logs[name].calls()) for name in dogs} == {"x": [], "y": []}
    assert {name: view["writes"] for name, view in shown.items()} == {"x": 0, "y": 0}
    assert max(queries.values()) <= 10
    assert x_took < 5
    assert y_took < 15


# -- peers that leave while they are looked for, and others who write


class Hunt:
    """`a`, which looks for `lost`: a peer that is in the list and nowhere else."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.mesh = Mesh(lab)
        self.a = self.mesh.node("a", 61, persistent_keepalive=0)
        self.mesh.node("b", 62, persistent_keepalive=0)
        self.lost = self.another_key()
        lab.dns.set("lost.example", "203.0.113.200", "203.0.113.201", "203.0.113.202")
        self.mesh.set("lost", public_key=self.lost, addresses=["10.0.0.63"], endpoint=f"lost.example:{PORT}")
        self.mesh.push()
        self.mesh.now()

    @staticmethod
    def another_key() -> str:
        return keys.public_key(keys.generate())

    def is_on(self, watchdog: Watchdog) -> None:
        until(lambda: watchdog.all_are("hunted", "lost") and watchdog.peer("lost")["writes"], 30)

    def again(self, watchdog: Watchdog) -> None:
        """Our own news: whoever is silent is looked for anew at once."""
        number = 230 + int(time.monotonic()) % 20
        self.a.ip(f"address add 203.0.113.{number}/24 dev eth0", f"address delete 203.0.113.{number}/24 dev eth0")


@pytest.fixture(scope="module")
def hunt() -> Iterator[Hunt]:
    with Lab() as lab:
        yield Hunt(lab)


def test_whoever_is_revoked_or_gets_another_key_while_hunted_is_never_created_again(
    hunt: Hunt, logs: dict[str, LoggedPrograms]
) -> None:
    with watching(hunt.a, logs["a"].env) as watchdog:
        hunt.is_on(watchdog)
        old, hunt.lost = hunt.lost, hunt.another_key()
        hunt.mesh.set("lost", public_key=hunt.lost)
        hunt.mesh.push("lost has another key")
        hunt.mesh.now("a")
        hunt.again(watchdog)
        logs["a"].calls()
        hunt.is_on(watchdog)  # the new one, that is
        assert set(dump(hunt.a)) == {"", hunt.lost, key_of(hunt.mesh.nodes["b"])}
        assert not [call for call in logs["a"].calls() if old in call]

        hunt.mesh.remove("lost")
        hunt.mesh.push("lost is out")
        hunt.mesh.now("a")
        logs["a"].calls()
        hunt.again(watchdog)
        began = time.monotonic()
        until(lambda: hunt.lost in dump(hunt.a) or time.monotonic() - began > 6, 8)
        assert hunt.lost not in dump(hunt.a)
        assert not [call for call in logs["a"].calls() if hunt.lost in call]
    hunt.mesh.set("lost", public_key=hunt.lost, addresses=["10.0.0.63"], endpoint=f"lost.example:{PORT}")
    hunt.mesh.push("lost is in again")
    hunt.mesh.now("a")


def test_nothing_is_written_while_another_holds_the_lock_and_what_it_removed_stays_removed(
    hunt: Hunt, logs: dict[str, LoggedPrograms]
) -> None:
    """In the list it still is, in the moment that matters: only a second look at the interface tells."""
    with watching(hunt.a, logs["a"].env) as watchdog:
        until(lambda: watchdog.all_are("suspect", "lost") or watchdog.all_are("hunted", "lost"), 30)
        holder = hunt.a.popen(["flock", "/run/mesh-sync/wg0.lock", "sh", "-c", "echo held; exec sleep 9"])
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        logs["a"].calls()
        hunt.a.run(["wg", "set", "wg0", "peer", hunt.lost, "remove"])
        hunt.again(watchdog)
        time.sleep(1)
        hunt.again(watchdog)
        holder.wait(timeout=20)
        time.sleep(3)
        assert endpoints_set(logs["a"].calls()) == []
        assert hunt.lost not in dump(hunt.a)
        assert watchdog.all_are("missing", "lost")
    now(hunt.a)  # which puts it back, as the list wants
    assert hunt.lost in dump(hunt.a)


SLOW_WG = """#!/bin/sh
case "$1" in
set | syncconf | setconf | addconf)
    echo "begin $$ $*" >>{log}
    sleep 0.2
    {wg} "$@"
    status=$?
    echo "end $$" >>{log}
    exit $status ;;
esac
exec {wg} "$@"
"""


def test_apply_and_watchdog_at_once_write_one_after_the_other(hunt: Hunt, tmp_path: Path) -> None:
    log = tmp_path / "writes"
    log.touch()
    fake = tmp_path / "wg"
    fake.write_text(SLOW_WG.format(log=log, wg=shutil.which("wg", path=ENVIRONMENT["PATH"])))
    fake.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{ENVIRONMENT['PATH']}"}
    stop = threading.Event()

    def apply() -> None:
        keepalive = 30
        while not stop.is_set():
            keepalive += 1
            hunt.mesh.set("a", persistent_keepalive=keepalive)
            hunt.mesh.push()
            now(hunt.a, env=env)
            stop.wait(2)  # one apply after the other, without a pause, keeps the lock to itself

    with watching(hunt.a, env) as watchdog, ThreadPoolExecutor(1) as pool:
        try:
            hunt.is_on(watchdog)
            applied = pool.submit(apply)
            for _ in range(2):
                before = watchdog.peer("lost")["writes"]
                hunt.again(watchdog)
                until(lambda before=before: watchdog.peer("lost")["writes"] > before, 20)  # type: ignore[misc]
        finally:
            stop.set()
        applied.result(timeout=30)
        second = hunt.a.run(["mesh-watchdog", "run"], check=False, timeout=10)
        assert second.returncode == 7
    lines = log.read_text().splitlines()
    begun = [line.split() for line in lines]
    assert {"addconf", "syncconf"} & {words[2] for words in begun[::2]}, "\n".join(lines)
    assert any("endpoint" in words for words in begun)
    for first, last in zip(begun[::2], begun[1::2], strict=True):
        assert (first[0], last[0], first[1]) == ("begin", "end", last[1]), "\n".join(lines)


def test_who_is_alive_is_left_alone_whatever_dns_says(alive: Future[Alive]) -> None:
    """One peer has roamed away from its name, one drops all that comes out of the tunnel, one hardly ever speaks."""
    seen = alive.result()
    assert seen.states == {("roamed", "up"), ("deaf", "up"), ("quiet", "up")}
    assert (seen.shown["dns_queries"], seen.shown["writes"]) == (0, 0)
    assert seen.endpoints_set == []
    assert seen.before == seen.after
    assert seen.before.startswith("203.0.113.131:")
