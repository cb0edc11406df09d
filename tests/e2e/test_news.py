"""A push that reaches all nodes by what they tell each other; and peers that tell and serve what is not so."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from e2e.running_watchdog import Watchdog, watching
from e2e.signed_mesh import ADMIN
from lab import Lab
from lab.mesh import Mesh, now_json, status
from lab.node import Node
from lab.program import Program
from lab.tree import HOME
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LIAR = Path(__file__).with_name("lying_peer.py")
NAMES = "abcdef"
SOON = 90
"""Seconds; it is a matter of two or three where the machine has time."""
NOWHERE = "git://203.0.113.250/mesh"


class World:
    """Peers a to f, which verify signatures; a alone knows the way to the git host, f is the liar."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.mesh = mesh = Mesh(lab)
        for number, name in enumerate(NAMES, start=21):
            mesh.node(name, number)
        self.first = mesh.begin_signed(ADMIN)
        self.outside = lab.node("outside", "203.0.113.66")
        self.turn = 0

    def push(self) -> str:
        """Another list: one more peer that is not there."""
        self.turn += 1
        self.mesh.sign_as(ADMIN)
        self.mesh.set("a", persistent_keepalive=20 + self.turn % 10)
        self.mesh.set("b", persistent_keepalive=20 + self.turn % 10)
        return self.mesh.push()

    @contextlib.contextmanager
    def cut_off(self, *names: str) -> Iterator[None]:
        """These do not reach the git host; afterwards all that the mesh has follow it again."""
        self._ask(NOWHERE, 3, *names)
        try:
            yield
        finally:
            self._ask(self.mesh.url, 20, *names)
            self.mesh.now()

    def _ask(self, url: str, deadline: int, *names: str) -> None:
        for name in names:
            self.mesh.configure(self.mesh.nodes[name], repository={"urls": [url], "deadline": deadline})

    @contextlib.contextmanager
    def host_gone(self) -> Iterator[None]:
        self.lab.git.kill()
        try:
            yield
        finally:
            self.lab.git.start()

    def at(self, commit: str, *names: str) -> bool:
        return all(status(self.mesh.nodes[name])["commit"] == commit for name in names)


@pytest.fixture(scope="module")
def world(lab: Lab) -> World:
    return World(lab)


@contextlib.contextmanager
def all_watch(world: World, *names: str) -> Iterator[dict[str, Watchdog]]:
    with contextlib.ExitStack() as stack:
        dogs = {name: stack.enter_context(watching(world.mesh.nodes[name])) for name in names}
        for name, dog in dogs.items():
            until(partial(dog.all_are, "up", *(set(names) - {name})), SOON, what=dog.said)
        yield dogs


def test_a_push_reaches_all_by_one_that_polls_and_the_host_may_be_gone(world: World) -> None:
    with world.cut_off(*"bcdef"), all_watch(world, *NAMES) as dogs:
        commit = world.push()
        found = now_json(world.mesh.nodes["a"])
        with world.host_gone():
            assert found["commit"] == commit
            until(lambda: world.at(commit, *NAMES), SOON, what=lambda: "\n".join(dog.said() for dog in dogs.values()))
            told = [name for name, dog in dogs.items() if "mesh-sync looks for it" in dog.said()]
            assert set(told) >= set("bcdef")


def test_a_push_from_a_node_begins_there_and_reaches_the_others(world: World) -> None:
    """By `mesh-sync peer … --push`, where the machine that the list is edited on is itself a node."""
    a, key = world.mesh.nodes["a"], f"{HOME}/{ADMIN}"
    world.mesh.sign_as(ADMIN)
    signers = world.mesh.operator.path(f"{HOME}/signers")
    for name in (ADMIN, f"{ADMIN}.pub"):
        shutil.copy(signers / name, a.path(f"{HOME}/{name}"))
    a.run(["git", "clone", "-q", world.mesh.url, f"{HOME}/mesh"])
    for setting in (
        "user.name=Anna",
        f"user.email={ADMIN}",
        "gpg.format=ssh",
        f"user.signingKey={key}",
        "commit.gpgSign=true",
    ):
        a.run(["git", "-C", f"{HOME}/mesh", "config", *setting.split("=")])
    with all_watch(world, "a", "b", "c"):
        words = ["peer", "set", "b", "--keepalive", "27", "--push", "--yes"]
        said = a.run(["mesh-sync", *words, "-C", f"{HOME}/mesh"], timeout=SOON).stdout
        assert "this machine is its node a: mesh-sync now\n" in said
        commit = a.run(["git", "-C", f"{HOME}/mesh", "rev-parse", "HEAD"]).stdout.strip()
        assert world.at(commit, "a")
        until(lambda: world.at(commit, "b", "c"), SOON)
    world.mesh.git("pull", "-q", world.mesh.url, "main")
    world.mesh.now()


def test_whom_nobody_has_told_asks_while_the_host_is_gone(world: World) -> None:
    """It was away when the others were told, and its remote is gone when it comes back."""
    with all_watch(world, "a", "c"):
        commit = world.push()
        now_json(world.mesh.nodes["a"])
        until(lambda: world.at(commit, "c"), SOON)
        with world.cut_off("b"):
            world.mesh.nodes["b"].run(["mesh-sync", "now"], check=False)
            assert not world.at(commit, "b")
            with watching(world.mesh.nodes["b"]) as dog:
                until(lambda: world.at(commit, "b"), SOON, what=dog.said)


def test_canaries_go_first_also_where_the_commit_comes_from_peers_and_the_host_is_gone(world: World) -> None:
    mesh = world.mesh
    mesh.sign_as(ADMIN)
    mesh.set("a", tags=["first"])
    mesh.set_mesh(rollout={"canary": ["first"], "wait": 3600})
    before = mesh.push()
    mesh.now()
    with all_watch(world, "b", "c"), watching(mesh.nodes["a"]):
        try:
            with world.cut_off(*"bc"):
                commit = world.push()
                mesh.nodes["a"].run(["mesh-sync", "pause"])
                with mirroring(world, commit):
                    write_news(mesh.nodes["b"], commit, "f", "10.0.0.26")
                    mesh.nodes["b"].run(["mesh-sync", "now"], check=False)
                found = status(mesh.nodes["b"])
                assert (found["commit"], found["held_commit"]) == (before, commit)
                mesh.nodes["a"].run(["mesh-sync", "resume"])
                assert now_json(mesh.nodes["a"])["commit"] == commit
                with world.host_gone():
                    until(lambda: world.at(commit, "a", "b", "c"), SOON)
        finally:
            mesh.sign_as(ADMIN)
            mesh.set_mesh(rollout=None)
            last = mesh.push()

        def follow() -> bool:
            mesh.now()
            return world.at(last, *NAMES)

        until(follow, SOON)


def test_now_says_who_gave_it(world: World) -> None:
    """The run that the timer starts uses the news, too."""
    b = world.mesh.nodes["b"]
    commit = world.push()
    with world.cut_off("b"):
        with watching(world.mesh.nodes["a"]):
            now_json(world.mesh.nodes["a"])
            write_news(b, commit, "a", "10.0.0.21")
            until(lambda: listens(world.mesh.nodes["a"]), SOON)
            found = now_json(b)
        assert (found["result"], found["commit"]) == ("applied", commit)
        assert f"commit {commit[:10]} came from a (git://10.0.0.21/mesh)" in found["message"]


def write_news(node: Node, commit: str, name: str, address: str) -> None:
    """As the node's watchdog does when this peer has told it."""
    news = json.dumps({"commit": commit, "tellers": [{"name": name, "address": address}]})
    node.run(["sh", "-c", "mkdir -p /run/mesh-sync/news && cat >/run/mesh-sync/news/wg0.json"], input=news)


def listens(node: Node) -> bool:
    return "10.0.0." in node.run(["ss", "-Hltn", "sport = :9418"]).stdout


# -- attacks


def tell(world: World, commit: str, number: int = 0, to: str = "10.0.0.22") -> None:
    """The liar tells b."""
    argv: list[str | Path] = [sys.executable, LIAR, "tell", "mesh.internal", to, commit, str(number)]
    world.mesh.nodes["f"].run(argv)


@contextlib.contextmanager
def serving(world: World, how: str) -> Iterator[None]:
    argv: list[str | Path] = [sys.executable, LIAR, "serve", "10.0.0.26", how]
    program: Program = world.mesh.nodes["f"].popen(argv)
    try:
        assert program.stdout
        assert program.stdout.readline() == "serving\n"
        yield
    finally:
        program.kill()
        program.communicate(timeout=10)


@contextlib.contextmanager
def mirroring(world: World, commit: str) -> Iterator[None]:
    """The liar serves this commit as the mesh's, by git's own daemon."""
    f, place = world.mesh.nodes["f"], "/run/home/served/mesh"
    f.run(["rm", "-rf", place])
    f.run(["git", "clone", "-q", "--bare", world.mesh.url, place])
    f.run(["git", "-C", place, "fetch", "-q", world.mesh.url, "+refs/*:refs/*"])
    f.run(["git", "-C", place, "update-ref", "refs/heads/mesh", commit])
    argv: list[str | Path] = [
        "git", "daemon", "--listen=10.0.0.26", "--reuseaddr", "--export-all", "--base-path=/run/home/served",
        "/run/home/served",
    ]  # fmt: skip
    program: Program = f.popen(argv)
    try:
        until(lambda: listens(f), SOON)
        yield
    finally:
        program.kill()
        program.communicate(timeout=10)


def looks(dog: Watchdog) -> int:
    return dog.said().count("mesh-sync looks for it")


def runs(dog: Watchdog) -> int:
    return dog.said().count("mesh-sync now: exit")


@pytest.fixture
def dog(world: World) -> Iterator[Watchdog]:
    """b's watchdog, and all have the same commit."""
    world.mesh.now()
    with watching(world.mesh.nodes["b"]) as dog:
        until(lambda: dog.all_are("up", "a", "f"), SOON, what=dog.said)
        yield dog


@pytest.mark.parametrize("how", ["hang", "junk", "end"])
def test_a_mirror_that_serves_no_repository_costs_a_little_time(world: World, dog: Watchdog, how: str) -> None:
    commit = world.push()
    with serving(world, how):
        tell(world, commit)
        until(lambda: world.at(commit, "b"), SOON, what=dog.said)
    assert looks(dog) <= 2


def test_a_mirror_with_an_old_head_takes_nothing_back_and_keeps_nothing_away(world: World, dog: Watchdog) -> None:
    commit = world.push()
    with mirroring(world, world.first):
        tell(world, commit)
        until(lambda: world.at(commit, "b"), SOON, what=dog.said)
        before = looks(dog)

        def looks_again() -> bool:
            tell(world, world.first)  # a peer is heard once in five seconds
            return looks(dog) > before

        until(looks_again, SOON, every=1.0, what=dog.said)
        until(lambda: runs(dog) > before, SOON, what=dog.said)
    found = status(world.mesh.nodes["b"])
    assert (found["commit"], found["refused_commits"]) == (commit, [])


def test_an_unsigned_commit_of_a_mirror_is_not_taken_and_not_remembered(world: World, dog: Watchdog) -> None:
    mesh = world.mesh
    good = status(mesh.nodes["b"])["commit"]
    mesh.sign_as(None)
    bad = mesh.commit("unsigned")
    mesh.git("push", "-q", mesh.url, f"{bad}:refs/heads/other")
    mesh.git("reset", "-q", "--hard", good)
    mesh.sign_as(ADMIN)
    with mirroring(world, bad):
        tell(world, bad)
        until(lambda: runs(dog) >= 2, SOON, what=dog.said)  # and once more after four seconds
        found = status(mesh.nodes["b"])
        assert (found["commit"], found["refused_commits"], found["bad_commit"]) == (good, [], None)
        commit = world.push()
        mesh.now("b")
    assert world.at(commit, "b")


def test_a_flood_of_news_makes_few_looks_and_others_are_heard(world: World, dog: Watchdog) -> None:
    for _ in range(5):
        tell(world, "f" * 40, 2000)
    until(lambda: runs(dog) >= 1, SOON, what=dog.said)
    assert looks(dog) <= 3, "in a minute, because of one peer"
    assert dog.program.poll() is None
    with watching(world.mesh.nodes["a"]) as teller:
        until(lambda: teller.all_are("up", "b"), SOON, what=teller.said)
        commit = world.push()
        now_json(world.mesh.nodes["a"])
        until(lambda: world.at(commit, "b"), SOON, what=dog.said)


def test_from_outside_the_tunnel_nothing_is_served_and_nothing_heard(world: World, dog: Watchdog) -> None:
    until(lambda: listens(world.mesh.nodes["b"]), SOON)
    b, out = world.mesh.nodes["b"], world.outside
    b.ip("address add 10.99.0.22/24 dev eth0")
    out.ip("address add 10.99.0.66/24 dev eth0", "route add 10.0.0.22/32 via 10.99.0.22")
    for address in ("203.0.113.22", "10.0.0.22"):
        fetched = out.run(["timeout", "5", "git", "ls-remote", f"git://{address}/mesh"], check=False)
        assert fetched.returncode
    before = looks(dog)
    out.run([sys.executable, LIAR, "tell", "mesh.internal", "10.0.0.22", "e" * 40])
    tell(world, "d" * 40)  # what comes later, and by the tunnel, is heard
    until(lambda: looks(dog) > before, SOON, what=dog.said)
    assert "eeeeeeeeee" not in dog.said()
