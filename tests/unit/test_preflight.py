"""`mesh-sync check --since`: what nodes would refuse does not pass the git host's hook, nor CI."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from command import Ended, mesh_sync
from mesh_sync.wireguard import keys
from unit.hooked_git_host import Push

ZEROS = "0" * 40


class Mesh:
    """A mesh of aws and azure, begun by alice, on a git host with the hook; `node` is the key of aws."""

    def __init__(self, place: Path) -> None:
        self.host = Push(place)
        self.host.environment["GIT_CONFIG_GLOBAL"] = os.devnull
        self.place, self.ssh = place / "home", place
        for name in ("alice", "mallory", "node"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / name], check=True)
        words = ("--signer", "alice@example.org", "--signing-key", place / "alice")
        assert mesh_sync("init", self.place, *words).code == 0
        self.host.clone = self.place
        self.add("aws", "--signing-key", place / "node.pub")
        self.add("azure")

    def run(self, *words: object) -> Ended:
        return mesh_sync(*words, "-C", self.place)

    def add(self, name: str, *words: object) -> None:
        public = keys.public_key(keys.generate())
        self.run("peer", "add", name, "--public-key", public, *words, "--commit").fine()

    def change(self, path: str, text: str, *options: str, message: str = "change") -> None:
        """Add a text to a file and commit that."""
        with (self.place / path).open("a") as file:
            file.write(text)
        self.git("add", "--all")
        assert self.git(*options, "commit", "-q", "-m", message).returncode == 0

    def git(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.host.git(*words)

    def signed_by(self, key: str) -> tuple[str, ...]:
        return ("-c", f"user.signingKey={self.ssh / key}")

    def since(self, base: str) -> Ended:
        return mesh_sync("check", self.place, "--since", base)


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mesh:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    mesh = Mesh(tmp_path)
    assert mesh.host.push().returncode == 0, "a first push has nothing before it"
    return mesh


def test_a_signed_push_passes_the_hook(mesh: Mesh) -> None:
    mesh.run("peer", "set", "azure", "--mtu", 1400, "--commit").fine()
    result = mesh.host.push()
    assert result.returncode == 0, result.stderr


def test_an_unsigned_push_does_not(mesh: Mesh) -> None:
    before = mesh.host.head
    mesh.change("peers/azure.toml", "mtu = 1400\n", "-c", "commit.gpgSign=false")
    result = mesh.host.push()
    assert result.returncode == 1
    assert "is not signed" in result.stderr
    assert mesh.host.head == before


def test_neither_does_one_that_is_hidden_under_a_signed_one(mesh: Mesh) -> None:
    mesh.change("peers/azure.toml", "mtu = 1400\n", "-c", "commit.gpgSign=false")
    mesh.change("README.md", "more\n")
    assert "is not signed" in mesh.host.push().stderr


def test_nor_one_of_a_stranger(mesh: Mesh) -> None:
    mesh.change("peers/azure.toml", "mtu = 1400\n", *mesh.signed_by("mallory"))
    assert "is signed by a key that is not in allowed_signers" in mesh.host.push().stderr


def test_a_node_may_push_its_own_endpoint_and_no_subnet(mesh: Mesh) -> None:
    mesh.change("peers/aws.toml", 'endpoint = "aws.example:51820"\n', *mesh.signed_by("node"))
    result = mesh.host.push()
    assert result.returncode == 0, result.stderr
    mesh.change("peers/aws.toml", 'subnets = ["0.0.0.0/0"]\n', *mesh.signed_by("node"))
    assert "may not change subnets in peers/aws.toml" in mesh.host.push().stderr


def test_what_the_policy_gives_a_node_passes(mesh: Mesh) -> None:
    mesh.change("policy.toml", '[nodes]\naws = ["subnets"]\n')
    assert mesh.host.push().returncode == 0
    mesh.change("peers/aws.toml", 'subnets = ["192.168.40.0/24"]\n', *mesh.signed_by("node"))
    result = mesh.host.push()
    assert result.returncode == 0, result.stderr


def test_a_rewritten_branch_does_not_pass(mesh: Mesh) -> None:
    mesh.git("reset", "-q", "--hard", "HEAD~1")
    mesh.change("README.md", "another way\n")
    assert "the branch was rewritten" in mesh.host.push("+HEAD:main").stderr


def test_drastic_changes_have_to_say_that_they_are_meant(mesh: Mesh) -> None:
    (mesh.place / "peers/azure.toml").unlink()
    mesh.change("README.md", "oops\n")
    refused = mesh.host.push().stderr
    assert "Mesh-Allow: remove azure" in refused
    assert "Mesh-Allow: empty-list" in refused
    mesh.git("reset", "-q", "--hard", "HEAD~1")
    mesh.run("peer", "remove", "azure", "--commit").fine()
    result = mesh.host.push()
    assert result.returncode == 0, "peer remove says it: " + result.stderr


def test_the_key_of_a_node_does_not_say_that_they_are_meant(mesh: Mesh) -> None:
    (mesh.place / "peers/azure.toml").unlink()
    mesh.change("README.md", "oops\n")
    said = "it was meant\n\nMesh-Allow: remove azure\nMesh-Allow: empty-list"
    mesh.git(*mesh.signed_by("node"), "commit", "-q", "--allow-empty", "-m", said)
    refused = mesh.host.push().stderr
    assert "Mesh-Allow: remove azure" in refused
    assert "Mesh-Allow: empty-list" in refused
    mesh.git("commit", "-q", "--allow-empty", "-m", said)
    result = mesh.host.push()
    assert result.returncode == 0, "an admin does: " + result.stderr


def test_a_key_that_is_added_signs_nothing_in_the_same_push(mesh: Mesh) -> None:
    mesh.run("signer", "add", "bob@example.org", mesh.ssh / "mallory", "--commit").fine()
    mesh.change("peers/azure.toml", "mtu = 1400\n", *mesh.signed_by("mallory"))
    assert "counts from the next run on" in mesh.host.push().stderr
    assert mesh.host.push("HEAD~1:main").returncode == 0
    assert mesh.host.push().returncode == 0


def test_the_list_of_signers_is_not_taken_away(mesh: Mesh) -> None:
    (mesh.place / "allowed_signers").unlink()
    mesh.change("README.md", "open\n")
    assert "leaves no admin" in mesh.host.push().stderr


def test_in_a_clone_the_same_is_said_before_the_push(mesh: Mesh) -> None:
    mesh.change("peers/azure.toml", "mtu = 1400\n", "-c", "commit.gpgSign=false")
    ended = mesh.since("HEAD~1")
    assert ended.code == 1
    assert "is not signed" in ended.out
    assert mesh.since(ZEROS).code == 0, "a branch's first push"
    assert mesh.since("nowhere").code == 2


def test_where_nobody_signs_only_the_guard_speaks(mesh: Mesh, tmp_path: Path) -> None:
    mesh.place = tmp_path / "open"
    mesh_sync("init", mesh.place).fine()
    mesh.host.clone = mesh.place
    for name in ("a", "b", "c"):
        mesh.add(name)
    mesh.change("README.md", "unsigned\n")
    assert mesh.since("HEAD~1").code == 0
    mesh.run("signer", "add", "alice@example.org", mesh.ssh / "alice", "--commit").fine()
    begun = mesh.since("HEAD~1")
    assert begun.code == 0
    assert "signatures count from the next push on" in begun.out
    (mesh.place / "peers/c.toml").unlink()
    mesh.change("README.md", "oops\n")
    assert "Mesh-Allow: remove c" in mesh.since("HEAD~1").out
