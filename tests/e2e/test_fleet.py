"""`mesh-sync fleet` in a signed mesh with watchdogs: who has applied what, who lags, who is silent, and who lies."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from e2e.running_watchdog import Watchdog, watching
from e2e.signed_mesh import ADMIN, verifying_mesh
from lab import Lab, Node
from lab.mesh import now
from lab.ping import first_answer
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NAMES = ("a", "b", "c", "d")
SIGNING = ("a", "b", "c")
"""Nodes that have a signing key, which the list names; d has none."""
SOON = 60
CUT = """table inet cut {
    chain input { type filter hook input priority -1; meta l4proto udp drop; }
    chain output { type filter hook output priority -1; meta l4proto udp drop; }
}"""
LIAR = Path(__file__).with_name("lying_nameserver.py")


class World:
    """Four nodes that verify signatures. Each runs its watchdog, unless a test takes it away."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        self.mesh = mesh = verifying_mesh(lab, NAMES, SIGNING)
        for name in NAMES[1:]:
            first_answer(mesh.nodes["a"], f"10.0.0.{NAMES.index(name) + 21}")
        self.watchdogs = {name: stack.enter_context(watching(node)) for name, node in mesh.nodes.items()}

    def fleet(self, name: str = "a", *options: str) -> tuple[int, dict[str, Any]]:
        done = self.mesh.nodes[name].run(["mesh-sync", "fleet", "--json", *options], check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)

    def standings(self, name: str = "a") -> dict[str, str]:
        return {row["name"]: row["standing"] for row in self.fleet(name)[1]["nodes"]}


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(lab, stack)


@pytest.fixture
def net(world: World) -> World:
    """A fleet at one commit, of which every node answers."""
    world.mesh.now()
    for name, watchdog in world.watchdogs.items():
        if watchdog.program.poll() is not None:
            world.watchdogs[name] = Watchdog(world.mesh.nodes[name])
            world.watchdogs[name].ready()
    until(lambda: set(world.standings().values()) == {"current"}, SOON, what=world.standings)
    return world


def push(world: World, mtu: int) -> str:
    """A new commit, which changes something for node b."""
    world.mesh.set("b", mtu=mtu)
    return world.mesh.push(f"mtu {mtu}")


def test_every_node_says_what_it_has_applied(net: World) -> None:
    until(lambda: all(row["up"] == 3 for row in net.fleet()[1]["nodes"]), SOON, what=lambda: str(net.fleet()))
    for name in NAMES:
        code, found = net.fleet(name)
        assert (code, found["node"]) == (0, name)
        rows = {row["name"]: row for row in found["nodes"]}
        assert tuple(rows) == NAMES
        assert {row["commit"] for row in rows.values()} == {found["newest"]}
        assert {name: row["signature"] for name, row in rows.items()} == {
            **dict.fromkeys(SIGNING, "signed"), "d": "unsigned"
        }  # fmt: skip
        assert {(row["up"], row["stale"], row["relayed"], row["result"]) for row in rows.values()} == {
            (3, 0, 0, "in-sync")
        }


def test_the_table_is_for_people(net: World) -> None:
    done = net.mesh.nodes["b"].run(["mesh-sync", "fleet"])
    head, *rows, last = done.stdout.splitlines()
    assert head.split("\t")[:2] == ["node", "commit"]
    assert [row.split("\t")[0] for row in rows] == list(NAMES)
    assert last.startswith("4 nodes at ")


def test_a_node_that_has_not_applied_the_newest_commit_lags(net: World) -> None:
    commit = push(net, 1400)
    net.mesh.now("a", "b", "d")
    expected = {"a": "current", "b": "current", "c": "lags", "d": "current"}
    until(lambda: net.standings() == expected, SOON, what=net.standings)
    code, found = net.fleet()
    assert (code, found["newest"]) == (1, commit)
    assert net.standings("c") == expected, "the one that lags sees it too"
    net.mesh.now("c")
    until(lambda: net.fleet()[0] == 0, SOON, what=net.standings)


def test_a_commit_that_most_have_not_yet_is_the_newest_where_it_is_verified(net: World) -> None:
    push(net, 1390)
    net.mesh.now("a")
    until(lambda: net.standings() == {"a": "current", "b": "lags", "c": "lags", "d": "lags"}, SOON, what=net.standings)
    assert net.standings("b")["a"] == "ahead"
    net.mesh.now()


def test_why_a_node_refuses_is_told(net: World) -> None:
    mesh = net.mesh
    mesh.set("b", mtu=1380)
    mesh.sign_as(None)
    mesh.push("not signed")
    now(mesh.nodes["b"], exit_code=4)

    def told() -> tuple[str, str]:
        [row] = [row for row in net.fleet()[1]["nodes"] if row["name"] == "b"]
        return row["result"], row["cause"]

    try:
        until(lambda: told() == ("refused", "untrusted"), SOON, what=lambda: str(told()))
    finally:
        mesh.sign_as(ADMIN)
        mesh.git("reset", "-q", "--hard", net.fleet()[1]["newest"])
        mesh.publish(force=True)


def test_a_node_without_a_watchdog_is_silent(net: World) -> None:
    net.watchdogs["c"].end()
    code, found = net.fleet()
    assert (code, found["counts"]["silent"]) == (1, 1)
    assert net.standings()["c"] == "silent"


def test_a_peer_that_a_watchdog_has_not_heard_yet_is_new_and_soon_stale(net: World) -> None:
    """d says nothing more when the watchdog of a begins."""
    a, d = net.mesh.nodes["a"], net.mesh.nodes["d"]
    net.watchdogs["a"].end()
    d.run(["nft", "-f", "-"], input=CUT)
    try:
        net.watchdogs["a"] = Watchdog(a)
        net.watchdogs["a"].ready()
        until(lambda: only(net, "a")["up"] == 2, SOON, what=lambda: str(only(net, "a")))
        said = only(net, "a")
        assert (said["stale"], said["new"], said["not_direct"]) == (0, 1, [])
        until(lambda: only(net, "a")["stale"] == 1, SOON, what=lambda: str(only(net, "a")))
        said = only(net, "a")
        assert (said["new"], [one["peer"] for one in said["not_direct"]]) == (0, ["d"])
    finally:
        d.run(["nft", "delete", "table", "inet", "cut"])


def test_one_that_repeats_the_words_of_another_is_not_believed(net: World) -> None:
    """c serves what b says and has signed, as a relay could that stands in for b; then b's words without signature."""
    net.watchdogs["c"].end()
    served = net.mesh.nodes["c"]
    with Lying(served, "10.0.0.23", "10.0.0.22") as liar:
        row = only(net, "c")
        assert (row["standing"], row["doubt"], row["commit"]) == ("doubted", "misnamed", None), liar
    with Lying(served, "10.0.0.23", "10.0.0.22", "renamed") as liar:
        row = only(net, "c")
        assert (row["standing"], row["doubt"], row["signature"]) == ("doubted", "forged", "wrong"), liar
    with Lying(served, "10.0.0.23", "10.0.0.22", "unsigned") as liar:
        row = only(net, "c")
        assert (row["standing"], row["doubt"], row["signature"]) == ("doubted", "unsigned", "unsigned"), liar


def test_watch_goes_on_until_it_is_stopped(net: World) -> None:
    program = net.mesh.nodes["a"].popen(["mesh-sync", "fleet", "--watch", "--json"])
    assert program.stdout is not None
    looks = [json.loads(program.stdout.readline()) for _ in range(2)]
    program.send_signal(signal.SIGINT)
    program.communicate(timeout=30)
    assert program.returncode == 130
    assert [look["counts"]["current"] for look in looks] == [4, 4]


def only(world: World, name: str) -> dict[str, Any]:
    [row] = [row for row in world.fleet()[1]["nodes"] if row["name"] == name]
    return dict(row)


class Lying:
    """A nameserver at a mesh address of the node that says what the node at another address says."""

    def __init__(self, node: Node, address: str, source: str, how: str = "as it is") -> None:
        self._program = node.popen([sys.executable, LIAR, address, source, how], stdin=-1)

    def __enter__(self) -> str:
        assert self._program.stdout is not None
        return str(self._program.stdout.readline())

    def __exit__(self, *_: object) -> None:
        self._program.kill()
        self._program.wait(timeout=30)
