"""Several nodes push at the same moment: each commit is on top of the other ones, and none takes what another took."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from attrs import evolve

from command import mesh_sync
from mesh_sync.membership.enlist import JoinRequest, enlist
from mesh_sync.membership.publish import checked, publish
from mesh_sync.membership.rotate_key import own_change
from mesh_sync.mesh.model import Mesh
from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.repository.fresh_copy import FreshCopy, with_fresh_copy
from mesh_sync.trust.verify_history import verify_clone
from mesh_sync.wireguard import keys
from unit.git_identity import as_alice
from unit.test_publish import make

NAMES = ("n1", "n2", "n3", "n4")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the user who runs the tests."""
    as_alice(monkeypatch)


class Race:
    """A git host, and a list with an admin; ``run`` has work done to fresh copies of it, all first ones at once."""

    def __init__(self, place: Path, *, is_signed: bool) -> None:
        self.work, self.bare = place / "home", place / "host.git"
        make(place / "admin")
        signing = ("--signer", "alice@example.org", "--signing-key", place / "admin") if is_signed else ()
        mesh_sync("init", self.work, *signing).fine()
        subprocess.run(["git", "clone", "-q", "--bare", self.work, self.bare], check=True, timeout=20)

    def edit(self, *words: object) -> None:
        mesh_sync(*words, "-C", self.work, "--commit").fine()

    @property
    def repository(self) -> Repository:
        return Repository(urls=(f"file://{self.bare}",), deadline=60)

    def run(self, work: Callable[[FreshCopy, str], object]) -> None:
        start = Barrier(len(NAMES))

        def one(name: str) -> None:
            waiting = [start]

            def at_once(copy: FreshCopy) -> None:
                while waiting:
                    waiting.pop().wait(30)
                work(copy, name)

            with_fresh_copy(self.repository, self.repository.urls[0], at_once, whole=True)

        with ThreadPoolExecutor(len(NAMES)) as pool:
            list(pool.map(one, NAMES))

    def result(self) -> Mesh:
        return with_fresh_copy(self.repository, self.repository.urls[0], checked)


def test_machines_that_join_at_the_same_moment_all_get_in_and_no_two_get_one_address(tmp_path: Path) -> None:
    race = Race(tmp_path, is_signed=False)
    request = JoinRequest(url=race.repository.urls[0], name="", config=tmp_path / "node.toml", trust="none")
    public = {name: keys.public_key(keys.generate()) for name in NAMES}
    got = {}

    def join(copy: FreshCopy, name: str) -> None:
        got[name] = enlist(copy, evolve(request, name=name), public[name], "", lambda text: None)

    race.run(join)
    mesh = race.result()
    assert {name: peer.public_key for name, peer in mesh.peers.items()} == public
    assert {name: tuple(map(str, peer.addresses)) for name, peer in mesh.peers.items()} == got
    assert len(set(got.values())) == len(NAMES)


def test_nodes_that_rotate_at_the_same_moment_all_do_and_every_node_accepts_it(tmp_path: Path) -> None:
    race = Race(tmp_path, is_signed=True)
    for number, name in enumerate(NAMES, start=1):
        key = keys.public_key(keys.generate())
        race.edit("peer", "add", name, "--public-key", key, "--endpoint", f"203.0.113.{number}:51820")
        race.edit("signer", "add", f"{name}@node.home", make(tmp_path / name))
    subprocess.run(["git", "-C", race.work, "push", "-q", race.bare, "HEAD:main"], check=True, timeout=20)
    before = subprocess.run(["git", "-C", race.work, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    following = {name: keys.public_key(keys.generate()) for name in NAMES}

    def rotate(copy: FreshCopy, name: str) -> None:
        node = Node(name=name, repository=race.repository, signing_key_file=tmp_path / name, trust=Trust(mode="signed"))
        text = copy.tree.texts[f"peers/{name}.toml"].decode() + f'next_public_key = "{following[name]}"\n'
        publish(copy, own_change(node, copy, text, "announces a key", {}), "main")

    race.run(rotate)
    assert {name: peer.next_public_key for name, peer in race.result().peers.items()} == following
    found = verify_clone(race.bare, before.stdout.strip(), "main")
    assert (found.problems, found.verified) == ((), len(NAMES))
