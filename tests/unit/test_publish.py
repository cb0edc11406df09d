"""A node's own commit to the list: what signs it, and when it is not pushed at all. Real git and ssh-keygen."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from attrs import evolve

from command import mesh_sync
from mesh_sync.errors import MeshSyncError
from mesh_sync.membership.publish import publish
from mesh_sync.membership.rotate_key import own_change
from mesh_sync.mesh.layout import PEERS
from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.repository.fresh_copy import FreshCopy, with_fresh_copy
from mesh_sync.wireguard import keys

PATH = f"{PEERS}a.toml"
ADD = "mesh-sync signer add a@node.home '{}' --commit"


class World:
    """A mesh `home` with the node a, which has made a signing key, or not yet."""

    def __init__(self, place: Path, *, is_signed: bool) -> None:
        self.place, self.key = place / "home", place / "signing.key"
        self.admin = place / "admin"
        make(self.admin)
        signing = ("--signer", "alice@example.org", "--signing-key", self.admin) if is_signed else ()
        mesh_sync("init", self.place, *signing).fine()
        public = keys.public_key(keys.generate())
        self.run("peer", "add", "a", "--public-key", public, "--endpoint", "203.0.113.1:51820")
        repository = Repository(urls=(f"file://{self.place}",))
        self.node = Node(name="a", repository=repository, signing_key_file=self.key, trust=Trust(mode="none"))

    def run(self, *words: object) -> None:
        mesh_sync(*words, "-C", self.place, "--commit").fine()

    def attempt(self) -> bool:
        """Push a change to a branch of its own; whether its commit is signed."""

        def work(copy: FreshCopy) -> None:
            text = copy.tree.texts[PATH].decode() + "mtu = 1400\n"
            publish(copy, own_change(self.node, copy, text, "is changed", {}), "attempt")

        subprocess.run(["git", "-C", self.place, "branch", "-D", "attempt"], check=False, capture_output=True)
        with_fresh_copy(self.node.repository, self.node.repository.urls[0], work)
        words = ["git", "-C", str(self.place), "cat-file", "commit", "attempt"]
        return "gpgsig" in subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def refusal(self) -> MeshSyncError:
        with pytest.raises(MeshSyncError) as caught:
            self.attempt()
        assert caught.value.exit_code == 1
        assert "nothing was pushed" in caught.value.message
        return caught.value


def make(file: Path) -> str:
    """A signing key; return its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file], check=True)
    return file.with_name(file.name + ".pub").read_text().strip()


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Alice")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "alice@example.org")


def test_where_nobody_signs_no_key_is_needed(tmp_path: Path) -> None:
    world = World(tmp_path, is_signed=False)
    assert not world.attempt()
    make(world.key)
    assert world.attempt()


def test_a_list_with_signers_takes_only_a_key_that_it_names_whatever_this_node_itself_verifies(tmp_path: Path) -> None:
    world = World(tmp_path, is_signed=True)
    error = world.refusal()
    assert "signing.key does not exist" in error.message
    assert ADD.format(f"<the line in {world.key}.pub>") in error.hint
    public = make(world.key)
    error = world.refusal()
    assert "does not have the signing key of a" in error.message
    assert ADD.format(public) in error.hint
    world.run("signer", "add", "a@node.home", public)
    assert world.attempt()


def test_a_key_that_is_good_no_longer_is_found_out_before_the_others_find_out(tmp_path: Path) -> None:
    world = World(tmp_path, is_signed=True)
    world.run("signer", "add", "a@node.home", make(world.key))
    file = world.place / "allowed_signers"
    file.write_text(file.read_text().replace("a@node.home ", 'a@node.home valid-before="20200101",'))
    subprocess.run(["git", "-C", world.place, "commit", "-q", "-a", "-m", "expired"], check=True)
    assert "expired at 20200101" in world.refusal().message


def test_where_this_node_verifies_a_list_without_signers_it_signs_all_the_same(tmp_path: Path) -> None:
    world = World(tmp_path, is_signed=False)
    world.node = evolve(world.node, trust=Trust(mode="signed"))
    assert "signing.key does not exist" in world.refusal().message
