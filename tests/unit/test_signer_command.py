"""`mesh-sync signer`, and what init and peer do about signatures: real git, real ssh-keygen."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from command import Ended, mesh_sync
from mesh_sync.trust import signers
from mesh_sync.wireguard import keys

ALICE, BOB = "alice@example.org", "bob@example.org"


class Signed:
    """A mesh `home` that alice has begun with `init --signer`."""

    def __init__(self, place: Path) -> None:
        self.place, self.ssh = place / "home", place / "ssh"
        self.ssh.mkdir()
        for name in ("alice", "bob", "node"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name} key", "-f", self.key(name)], check=True
            )
        self.begun = mesh_sync("init", self.place, "--signer", ALICE, "--signing-key", self.key("alice"))
        assert self.begun.code == 0, self.begun.err

    def key(self, name: str) -> Path:
        return self.ssh / name

    @property
    def file(self) -> Path:
        return self.place / "allowed_signers"

    def run(self, *words: object) -> Ended:
        return mesh_sync(*words, "-C", self.place)

    def add_bob(self, *words: object) -> Ended:
        return self.run("signer", "add", BOB, self.key("bob"), *words)

    def git(self, *words: str) -> str:
        return subprocess.run(["git", "-C", self.place, *words], check=True, capture_output=True, text=True).stdout

    def verifies(self) -> bool:
        """Whether the newest commit is signed by one of the file's keys, as git sees it with its settings."""
        return subprocess.run(["git", "-C", self.place, "verify-commit", "HEAD"], capture_output=True).returncode == 0

    def principals(self) -> list[str]:
        return [signer.principal for signer in signers.parse(self.file.read_bytes())[0].entries]

    def fingerprint(self) -> str:
        return str(json.loads(self.run("signer", "list", "--json").fine())["fingerprint"])


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signed:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    return Signed(tmp_path)


def test_a_mesh_begins_with_a_signed_commit_and_git_is_set_up_to_go_on_signing(mesh: Signed) -> None:
    assert mesh.verifies()
    assert mesh.principals() == [ALICE]
    (mesh.place / "README.md").write_text("changed\n")
    mesh.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-a", "-m", "by hand")
    assert mesh.verifies()
    assert mesh.fingerprint() in mesh.begun.out


def test_a_mesh_can_begin_without_signatures_and_is_told_what_that_means(mesh: Signed, tmp_path: Path) -> None:
    said = mesh_sync("init", tmp_path / "open").fine()
    assert "nodes will accept whatever is pushed" in said
    assert not (tmp_path / "open/allowed_signers").exists()


def test_init_signs_where_the_person_has_told_git_to(
    mesh: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[gpg]\nformat = ssh\n[user]\nsigningKey = {mesh.key('bob')}\n[commit]\ngpgSign = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    mesh_sync("init", tmp_path / "other").fine()
    commit = subprocess.run(
        ["git", "-C", tmp_path / "other", "cat-file", "commit", "HEAD"], capture_output=True, check=True
    )
    assert b"BEGIN SSH SIGNATURE" in commit.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--signer", ALICE], "--signer goes with --signing-key"),
        (["--signer", "*", "--signing-key", "alice"], "is not one principal"),
        (["--signer", "a@node.x", "--signing-key", "alice"], "is the name of a node key"),
        (["--signer", ALICE, "--signing-key", "nothing"], "does not exist"),
        (["--signer", ALICE, "--signing-key", "text"], "does not hold one SSH public key"),
    ],
)
def test_a_signer_that_is_none_begins_no_mesh(
    mesh: Signed, tmp_path: Path, words: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mesh.ssh)
    monkeypatch.setenv("HOME", str(tmp_path))  # where there is no key of the person who runs this
    Path("text").write_text("no key\n")
    ended = mesh_sync("init", tmp_path / "other", *words)
    assert ended.code == 2
    assert complaint in ended.err
    assert not (tmp_path / "other").exists()


def test_the_list_says_who_may_do_what_and_until_when(mesh: Signed) -> None:
    mesh.add_bob("--valid-before", "2099-12-31").fine()
    mesh.run("signer", "add", "aws@node.home", mesh.key("node")).fine()
    lines = [line.split("\t") for line in mesh.run("signer", "list").fine().splitlines()]
    assert [line[:3] for line in lines[:-1]] == [
        ["who", "rights", "type"],
        [ALICE, "admin", "ssh-ed25519"],
        [BOB, "admin", "ssh-ed25519"],
        ["aws@node.home", "node", "ssh-ed25519"],
    ]
    assert [line[4] for line in lines[1:-1]] == ["-", "before 2099-12-31 00:00", "-"]
    shown = subprocess.run(["ssh-keygen", "-l", "-f", mesh.key("node")], capture_output=True, text=True, check=True)
    assert lines[3][3] == shown.stdout.split()[1]
    found = json.loads(mesh.run("signer", "list", "--json").fine())
    assert [signer["node"] for signer in found["signers"]] == [None, None, "aws"]


def test_the_fingerprint_is_that_of_the_admins_and_of_the_first_commit(mesh: Signed) -> None:
    """Nodes come and go under the same one: what an operator has read out yesterday is good today."""
    before = mesh.fingerprint()
    mesh.run("signer", "add", "aws@node.home", mesh.key("node"), "--commit").fine()
    mesh.file.write_text("# about alice\n" + mesh.file.read_text())
    mesh.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "comment")
    assert mesh.fingerprint() == before
    mesh.add_bob("--commit").fine()
    assert mesh.fingerprint() != before


def test_another_mesh_of_the_same_admin_has_another_fingerprint(mesh: Signed, tmp_path: Path) -> None:
    other = mesh_sync("init", tmp_path / "second", "--signer", ALICE, "--signing-key", mesh.key("alice"))
    assert mesh.fingerprint() not in other.fine()


def test_comments_and_order_stay_when_keys_come_and_go(mesh: Signed) -> None:
    text = "# who may sign\n\n" + mesh.file.read_text().splitlines()[-1] + "  # since 2024\n\n# the end"
    mesh.file.write_text(text)
    mesh.add_bob().fine()
    added = mesh.file.read_text()
    assert added.startswith(text + "\n" + BOB)
    mesh.run("signer", "remove", BOB).fine()
    assert mesh.file.read_text() == text + "\n"


def test_one_of_two_keys_is_removed_by_its_fingerprint(mesh: Signed) -> None:
    mesh.run("signer", "add", ALICE, mesh.key("bob")).fine()
    old = json.loads(mesh.run("signer", "list", "--json").fine())["signers"][0]["fingerprint"]
    mesh.run("signer", "remove", old, "--commit").fine()
    assert mesh.principals() == [ALICE]
    assert "bob key" in mesh.file.read_text()


def test_the_last_admin_is_not_removed(mesh: Signed) -> None:
    mesh.run("signer", "add", "aws@node.home", mesh.key("node")).fine()
    before = mesh.file.read_text()
    ended = mesh.run("signer", "remove", ALICE)
    assert ended.code == 1
    assert "has no admin" in ended.err
    assert mesh.file.read_text() == before


@pytest.mark.parametrize(
    ("who", "key", "complaint"),
    [
        ("*@example.org", "bob.pub", "is not one principal"),
        ("x@node.other", "bob.pub", "is not a node of this mesh; its name would be x@node.home"),
        ("carol@example.org", "alice.pub", f"has the same key as {ALICE}"),
        ("carol@example.org", "ssh-ed25519 AAAA", "is neither an SSH public key nor a file"),
        ("carol@example.org", "missing", "is neither an SSH public key nor a file"),
    ],
)
def test_what_the_check_would_refuse_is_not_written(
    mesh: Signed, monkeypatch: pytest.MonkeyPatch, who: str, key: str, complaint: str
) -> None:
    monkeypatch.chdir(mesh.ssh)
    before = mesh.file.read_text()
    ended = mesh.run("signer", "add", who, key)
    assert ended.code in (1, 2)
    assert complaint in ended.err
    assert mesh.file.read_text() == before


def test_a_private_key_is_never_read_nor_shown(mesh: Signed) -> None:
    mesh.key("bob").with_suffix(".pub").unlink()
    ended = mesh.add_bob()
    assert ended.code == 2
    assert "does not hold one SSH public key" in ended.err
    assert mesh.key("bob").read_text().splitlines()[1] not in ended.err + mesh.file.read_text()


def test_who_is_not_there_is_not_removed(mesh: Signed) -> None:
    ended = mesh.run("signer", "remove", BOB)
    assert ended.code == 2
    assert f"it has: {ALICE}" in ended.err


def test_a_mesh_without_signers_says_how_to_begin(tmp_path: Path) -> None:
    mesh_sync("init", tmp_path / "open").fine()
    ended = mesh_sync("signer", "list", "-C", tmp_path / "open")
    assert ended.code == 2
    assert "mesh-sync signer add" in ended.err


def test_a_peer_and_its_signing_key_come_and_go_in_one_signed_commit(mesh: Signed) -> None:
    words = ("--public-key", keys.public_key(keys.generate()), "--signing-key", mesh.key("node"), "--commit")
    mesh.run("peer", "add", "aws", *words).fine()
    assert mesh.verifies()
    assert mesh.git("show", "--name-only", "--format=").split() == ["allowed_signers", "peers/aws.toml"]
    assert mesh.principals() == [ALICE, "aws@node.home"]
    said = mesh.run("peer", "remove", "aws", "--commit").fine()
    assert "is removed, and its key in allowed_signers" in said
    assert mesh.git("show", "--name-only", "--format=").split() == ["allowed_signers", "peers/aws.toml"]
    assert mesh.principals() == [ALICE]


def test_a_peer_whose_signing_key_is_another_ones_is_not_added(mesh: Signed) -> None:
    ended = mesh.run(
        "peer", "add", "aws", "--public-key", keys.public_key(keys.generate()), "--signing-key", mesh.key("alice")
    )
    assert ended.code == 1
    assert not (mesh.place / "peers/aws.toml").exists()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"commit.gpgSign": "false"}, "the commit is not signed"),
        ({"user.signingKey": "{bob}"}, "signed by no key that"),
    ],
)
def test_a_commit_that_every_node_would_refuse_is_said_to_be_one(
    mesh: Signed, settings: dict[str, str], complaint: str
) -> None:
    for name, value in settings.items():
        mesh.git("config", name, value.format(bob=mesh.key("bob")))
    ended = mesh.add_bob("--commit")
    assert ended.code == 0
    assert complaint in ended.err
    assert "config gpg.format ssh" in ended.err


def test_check_warns_of_the_only_admin_of_keys_that_end_and_of_nodes_that_left(mesh: Signed) -> None:
    def said() -> str:
        return mesh_sync("check", mesh.place).fine()

    assert f"allowed_signers:{ALICE}: warning: is the only admin" in said()
    soon = datetime.now(UTC) + timedelta(days=20)
    mesh.add_bob("--valid-before", f"{soon:%Y-%m-%d}").fine()
    assert "only admin" not in said()
    assert f"expires on {soon:%Y-%m-%d} 00:00 UTC" in said()
    mesh.run("signer", "remove", BOB).fine()
    mesh.add_bob("--valid-before", "2020-01-01").fine()
    assert "expired on 2020-01-01" in said()
    assert "is the only admin" in said(), "an admin whose key has expired is none"
    mesh.run("signer", "add", "aws@node.home", mesh.key("node")).fine()
    assert "there is no peer aws" in said()


@pytest.mark.parametrize(
    ("typed", "equal"),
    [
        ("AB12-cd34", True),
        ("ab12cd34", True),
        ("ab12 cd34", True),
        ("ab12-cd35", False),
        ("ab12-cd3", False),
        ("", False),
    ],
)
def test_a_fingerprint_is_the_same_however_it_is_grouped_but_never_in_part(typed: str, equal: bool) -> None:
    assert signers.same("ab12-cd34", typed) is equal


@pytest.mark.parametrize("hidden", ["\x1b[2K", "\u2028", "\x0c", "\u202e", "\r"])
def test_nothing_in_a_line_can_hide_what_it_says(hidden: str) -> None:
    """Neither from the terminal of a person who compares, nor by lines that ssh-keygen reads as one."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFkB1X+1dU0DbCgtB09oTDU8NrMf/5cGHnX3nOX0hG5z"
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII3I1haPNf99SYcylAD82Pw7b5Mj7L4RTmjDjhM4y+/g"
    listed, findings = signers.parse(f"{ALICE} {key} note{hidden}{BOB} {other}\n".encode())
    assert listed.entries == ()
    assert "has a character that hides" in findings[0].message
