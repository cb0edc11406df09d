"""`init --remote`: the new list knows its git host, is pushed there when asked to, and loses nothing that is there."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import git
import pytest

from command import mesh_sync
from mesh_sync.wireguard import keys
from mesh_sync.workspace.init import STAGED


@pytest.fixture
def host(tmp_path: Path) -> git.Repo:
    return git.Repo.init(tmp_path / "host.git", bare=True, initial_branch="main")


def test_the_list_follows_the_git_host_and_nothing_is_pushed_unasked(tmp_path: Path, host: git.Repo) -> None:
    done = mesh_sync("init", tmp_path / "mesh", "--remote", host.git_dir)
    assert done.code == 0, done.err
    assert not host.refs
    made = git.Repo(tmp_path / "mesh")
    assert made.remotes.origin.url == host.git_dir
    made.git.push("--quiet")
    assert host.head.commit == made.head.commit
    assert made.active_branch.tracking_branch().name == "origin/main"  # type: ignore[union-attr]


def test_it_is_pushed_with_push(tmp_path: Path, host: git.Repo) -> None:
    done = mesh_sync("init", tmp_path / "mesh", "--remote", host.git_dir, "--push")
    assert done.code == 0, done.err
    assert host.head.commit == git.Repo(tmp_path / "mesh").head.commit
    assert "pushed to" in done.out


def test_what_is_there_already_is_not_lost(tmp_path: Path, host: git.Repo) -> None:
    mesh_sync("init", tmp_path / "first", "--remote", host.git_dir, "--push")
    before = host.head.commit
    done = mesh_sync("init", tmp_path / "second", "--remote", host.git_dir, "--push")
    assert done.code == 4, done.err
    assert host.head.commit == before


def test_a_new_mesh_has_a_name_that_a_nodes_line_in_allowed_signers_can_have(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    signer = ("--signer", "you@example.org", "--signing-key", tmp_path / "key")
    refused = mesh_sync("init", tmp_path / "x", "--name", "our mesh", *signer)
    assert (refused.code, "'our mesh' has ' '" in refused.err) == (2, True), refused.err
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "node"], check=True)
    for called, name in (("our mesh", "our-mesh"), ("a*,!@#b", "a-b"), ("中文", "中文")):
        made = tmp_path / called
        mesh_sync("init", made, *signer).fine()
        key = keys.public_key(keys.generate())
        add = ("peer", "add", "aws", "--public-key", key, "--endpoint", "a:1", "--signing-key", tmp_path / "node.pub")
        mesh_sync(*add, "-C", made, "--commit").fine()
        assert f"aws@node.{name} " in (made / "allowed_signers").read_text()


def test_an_address_that_was_mistyped_can_be_corrected(tmp_path: Path, host: git.Repo) -> None:
    mesh_sync("init", tmp_path / "my mesh", "--name", "lab", "--remote", tmp_path / "hots.git", "--push")
    again = ("init", tmp_path / "my mesh", "--name", "lab", "--remote", host.git_dir, "--push")
    refused = mesh_sync(*again)
    assert (refused.code, "hots.git" in refused.err) == (2, True), refused.err
    subprocess.run(shlex.split(refused.err.partition("elsewhere: ")[2].partition(";")[0]), check=True)
    mesh_sync(*again).fine()
    assert host.head.commit == git.Repo(tmp_path / "my mesh").head.commit


def test_a_git_host_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = mesh_sync("init", tmp_path / "mesh", "--remote", tmp_path / "nowhere.git", "--push")
    assert done.code == 3, done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--push",), "--push goes with --remote"),
        (("--endpoint", "a:1"), "go with --node"),
        (("--node", "aws"), "--node goes with --remote and --signer"),
    ],
)
def test_options_that_make_no_sense_alone_are_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = mesh_sync("init", tmp_path / "mesh", *words)
    assert (done.code, said in done.err) == (2, True)
    assert not (tmp_path / "mesh").exists()


def test_what_did_not_reach_the_git_host_goes_on_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("init", str(tmp_path / "my mesh"), "--name", "mesh", "--remote", str(tmp_path / "host.git"), "--push")
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/mesh-sync", *words])
    done = mesh_sync(*words)
    assert done.code == 3
    assert f"to continue: {shlex.join(['mesh-sync', *words])}\n" in done.err
    first = git.Repo(tmp_path / "my mesh").head.commit
    host = git.Repo.init(tmp_path / "host.git", bare=True, initial_branch="main")
    for _ in range(2):
        assert "continuing with the mesh repository" in mesh_sync(*words).fine()
        assert host.head.commit == first
    other = mesh_sync(*words, "--network", "10.9.0.0/24")
    assert (other.code, "is not empty" in other.err) == (2, True)


def test_an_init_that_fails_leaves_nothing_and_what_a_killed_one_left_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "here"
    place.mkdir()
    with monkeypatch.context() as broken:
        broken.setenv("GIT_COMMITTER_DATE", "never")
        assert mesh_sync("init", place).code == 1
        assert mesh_sync("init", tmp_path / "new").code == 1
    assert not list(place.iterdir())
    assert not (tmp_path / "new").exists()
    (place / STAGED / ".git").mkdir(parents=True)
    (place / "mesh.toml").write_text("half of it")
    (place / "hooks").mkdir()
    (place / "mine").write_text("of a person")
    assert "is not empty" in mesh_sync("init", place).err
    assert [child.name for child in place.iterdir()] == ["mine"]
    (place / "mine").unlink()
    (place / STAGED).mkdir()
    mesh_sync("init", place).fine()
    assert not (place / STAGED).exists()
    mesh_sync("check", place).fine()
