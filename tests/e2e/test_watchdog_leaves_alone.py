"""What mesh-watchdog must not touch: peers that live, an interface without a way out, peers that left the list."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from e2e.running_watchdog import Watchdog, endpoint, watching
from lab import Lab
from lab.logged import LoggedPrograms, LogsByNode
from lab.mesh import Mesh, dump, key_of, now
from lab.ping import pinging
from lab.tree import ENVIRONMENT
from lab.waiting import until
from mesh_sync.wireguard import keys

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PORT = 51820
LONG = 38
"""Seconds: longer than an idle peer is left unasked, and an answer owed."""
DEAF = """
    table inet deaf {
        chain input {
            type filter hook input priority 0
            iifname "wg0" drop
        }
    }"""


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
        self.endpoints_set = logged.endpoints_set()


@pytest.fixture(scope="module", autouse=True)
def alive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Alive]]:
    """Begun with the first test of the file and looked at by the last: it is all waiting."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(Alive, LoggedPrograms(tmp_path_factory.mktemp("alive")))


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
        self.a.ip(f"address add 203.0.113.{number}/24 dev eth0")
        time.sleep(1)  # what is over within the debounce is no news
        self.a.ip(f"address delete 203.0.113.{number}/24 dev eth0")


@pytest.fixture(scope="module")
def hunt() -> Iterator[Hunt]:
    with Lab() as lab:
        yield Hunt(lab)


def test_whoever_is_revoked_or_gets_another_key_while_hunted_is_never_created_again(
    hunt: Hunt, logs: LogsByNode
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
    hunt: Hunt, logs: LogsByNode
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
        assert logs["a"].endpoints_set() == []
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
                until(lambda before=before: watchdog.peer("lost")["writes"] > before)  # type: ignore[misc]
        finally:
            stop.set()
        applied.result(timeout=30)
        second = hunt.a.run(["mesh-watchdog", "run"], check=False, timeout=60)
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
