"""Who has forgotten --commit types the command again with it: it commits what it has written, and nothing else."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.wireguard import keys


def git(place: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", place, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A mesh with a signer and two peers, of which one is reached through the other and may sign."""
    for name in ("you", "node"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    made = tmp_path / "mesh"
    mesh_sync("init", made, "--name", "lab", "--signer", "you@example.org", "--signing-key", tmp_path / "you").fine()
    key = keys.public_key(keys.generate())
    signing = ("--signing-key", tmp_path / "node.pub")
    mesh_sync("peer", "add", "aws", "--public-key", key, "--endpoint", "a:1", *signing, "-C", made, "--commit").fine()
    key = keys.public_key(keys.generate())
    mesh_sync("peer", "add", "home", "--public-key", key, "--via", "aws", "-C", made, "--commit").fine()
    return made


def test_what_the_same_command_has_written_is_committed_by_it(place: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "nas"], check=True)
    nas = ("add", "nas", "--public-key", keys.public_key(keys.generate()), "--signing-key", tmp_path / "nas.pub")
    for words in (
        ("peer", "add", "phone", "--new-key", tmp_path / "phone.key", "--unmanaged", "--via", "aws"),
        ("peer", *nas),
        ("peer", "set", "nas", "--mtu", 1400),
        ("peer", "rename", "aws", "tokyo"),
        ("signer", "remove", "nas@node.lab"),
        ("peer", "remove", "tokyo"),
    ):
        before = git(place, "rev-parse", "HEAD")
        if words[:2] == ("peer", "remove"):
            mesh_sync("peer", "remove", "home", "-C", place, "--commit").fine()
            mesh_sync("peer", "remove", "phone", "-C", place, "--commit").fine()
        mesh_sync(*words, "-C", place).fine()
        assert "committed" in mesh_sync(*words, "-C", place, "--commit").fine()
        assert git(place, "rev-parse", "HEAD") != before
        assert git(place, "status", "--porcelain") == ""
    assert "node.lab" not in (place / "allowed_signers").read_text()


def test_a_command_that_is_done_and_committed_is_refused_as_before(place: Path) -> None:
    key = keys.public_key(keys.generate())
    add = ("peer", "add", "nas", "--public-key", key, "-C", place)
    mesh_sync(*add, "--commit").fine()
    again = mesh_sync(*add, "--commit")
    assert (again.code, "peers/nas.toml exists already" in again.err) == (2, True)
    assert f"mesh-sync peer set nas … -C {place}" in again.err


def test_what_is_not_of_this_command_is_not_committed_and_the_hint_says_how(place: Path) -> None:
    key = keys.public_key(keys.generate())
    add = ("peer", "add", "nas", "--public-key", key, "-C", place)
    mesh_sync(*add).fine()
    file = place / "peers/nas.toml"
    file.write_text(file.read_text() + "mtu = 1400\n")
    again = mesh_sync(*add, "--commit")
    assert (again.code, "peers/nas.toml exists already" in again.err) == (2, True)
    add_all, commit = again.err.partition("to commit them: ")[2].strip().split(" && ")
    assert file.read_text().endswith("mtu = 1400\n")
    subprocess.run(shlex.split(add_all), check=True)
    subprocess.run([*shlex.split(commit), "-qm", "nas"], check=True)
    assert git(place, "status", "--porcelain") == ""


def test_of_two_removals_the_second_is_not_undone_by_committing_the_first(place: Path, tmp_path: Path) -> None:
    mesh_sync("peer", "set", "home", "--unset", "via", "-C", place, "--commit").fine()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "home"], check=True)
    mesh_sync("signer", "add", "home@node.lab", tmp_path / "home.pub", "-C", place, "--commit").fine()
    mesh_sync("peer", "remove", "aws", "-C", place).fine()
    mesh_sync("peer", "remove", "home", "-C", place).fine()
    refused = mesh_sync("peer", "remove", "aws", "-C", place, "--commit")
    assert refused.code == 2
    assert "allowed_signers has changes that are neither committed nor of this command" in refused.err
    assert "node.lab" not in (place / "allowed_signers").read_text()


def test_what_was_killed_half_way_goes_on_and_what_others_have_changed_stays(place: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "nas"], check=True)
    key = keys.public_key(keys.generate())
    add = ("peer", "add", "nas", "--public-key", key, "--signing-key", tmp_path / "nas.pub", "-C", place)
    mesh_sync(*add).fine()
    git(place, "checkout", "-q", "allowed_signers")
    mesh_sync(*add, "--commit").fine()
    git(place, "reset", "-q", "HEAD~1")
    signers = place / "allowed_signers"
    edited = signers.read_text() + "# of the operator\n"
    signers.write_text(edited)
    refused = mesh_sync(*add, "--commit")
    assert (refused.code, "git add --all -- allowed_signers" in refused.err.replace(f" -C {place}", "")) == (2, True)
    assert signers.read_text() == edited


def test_a_change_of_the_secret_that_is_not_committed_is_not_made_twice(place: Path, tmp_path: Path) -> None:
    new = ("secret", "new", "--secret-file", tmp_path / "secret", "-C", place)
    mesh_sync(*new).fine()
    kept = (tmp_path / "secret").read_text()
    for words in (new, ("secret", "retire", "--force", "-C", place)):
        refused = mesh_sync(*words, "--commit")
        assert (refused.code, "the last change is not committed yet: preshared keys" in refused.err) == (2, True)
        assert (tmp_path / "secret").read_text() == kept
    add_all, commit = refused.err.partition("to commit them: ")[2].strip().split(" && ")
    subprocess.run(shlex.split(add_all), check=True)
    subprocess.run([*shlex.split(commit), "-qm", "secret"], check=True)
    assert git(place, "status", "--porcelain") == ""
    mesh_sync("secret", "retire", "--force", "-C", place, "--commit").fine()
