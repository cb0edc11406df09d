"""`--push`: what nodes will do is shown, the person is asked, and a push that is not taken is explained."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import git
import pytest

from command import Ended, mesh_sync
from mesh_sync.wireguard import keys
from mesh_sync.workspace import push
from unit.imported import DATA
from unit.list_keeper import Operator, key


class Pusher(Operator):
    """An operator whose branch follows that of a git host."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.host = git.Repo.init(place.parent / "host.git", bare=True, initial_branch="main")
        self.git.create_remote("origin", str(place.parent / "host.git"))
        self.git.git.push("--quiet", "--set-upstream", "origin", "main")
        for name, text in (("name", "Alice"), ("email", "alice@example.org")):
            self.git.git.config(f"user.{name}", text)

    def add_phone(self, *words: object) -> Ended:
        return self.add("phone", "--via", "aws", *words)

    def at_terminal(self, answer: str) -> str:
        """Add a phone and --push it, at a terminal; what is shown there."""
        words = ["peer", "add", "phone", "--public-key", key(), "--via", "aws", "--push", "-C", str(self.place)]
        program = [sys.executable, "-c", "from mesh_sync.cli.main import main; main()", *words]
        ours, theirs = pty.openpty()
        with subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            os.write(ours, answer.encode())
            shown = b""
            try:
                while chunk := os.read(ours, 65536):
                    shown += chunk
            except OSError:  # the other end is closed
                pass
        os.close(ours)
        assert process.returncode == 0
        return shown.decode()

    @property
    def published(self) -> str:
        return str(self.host.commit("main").message).partition("\n")[0]


@pytest.fixture
def pusher(tmp_path: Path, operator: Operator, monkeypatch: pytest.MonkeyPatch) -> Pusher:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Alice")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "alice@example.org")
    return Pusher(tmp_path / "pushing/mesh")


def test_what_nodes_will_do_is_shown_and_the_commit_pushed(pusher: Pusher) -> None:
    said = pusher.add_phone("--push", "--yes").fine()
    assert "'phone: joins the mesh'\naws\n  + " in said
    assert "2 nodes would change\npushed 1 commit to main of origin\n" in said
    assert "next:" not in said
    assert pusher.published == "phone: joins the mesh"


def test_a_person_is_asked_after_seeing_the_plan_and_can_say_no(pusher: Pusher) -> None:
    shown = pusher.at_terminal("n\n")
    assert shown.index("nodes would change") < shown.index("push 1 commit to main of origin? [y/N]")
    assert f"not pushed; next: git -C {pusher.place} push" in shown
    assert pusher.published == "begin"
    assert pusher.git.head.commit.message == "phone: joins the mesh\n"


def test_a_person_who_agrees_has_it_pushed(pusher: Pusher) -> None:
    assert "pushed 1 commit" in pusher.at_terminal("y\n")
    assert pusher.published == "phone: joins the mesh"


def test_where_nobody_can_be_asked_nothing_is_written(pusher: Pusher) -> None:
    ended = pusher.add_phone("--push")
    assert ended.code == 2
    assert "no terminal to ask at: add --yes" in ended.err
    assert not pusher.has("phone")
    assert pusher.add_phone("--yes").code == 2


def test_a_branch_that_follows_none_is_told_before_anything_is_written(pusher: Pusher) -> None:
    pusher.git.git.branch("--unset-upstream")
    ended = pusher.add_phone("--push", "--yes")
    assert ended.code == 2
    assert f"git -C {pusher.place} push --set-upstream origin main" in ended.err
    assert not pusher.has("phone")
    pusher.git.git.checkout("--quiet", "--detach")
    assert "HEAD is on no branch" in pusher.add_phone("--push", "--yes").err


def test_a_push_that_was_overtaken_says_how_to_go_on(pusher: Pusher, tmp_path: Path) -> None:
    other = git.Repo.clone_from(pusher.host.git_dir, tmp_path / "other")
    mesh_sync("peer", "set", "aws", "--mtu", 1400, "--push", "--yes", "-C", tmp_path / "other").fine()
    other.close()
    ended = pusher.add_phone("--push", "--yes")
    assert ended.code == 4
    assert "main of origin has commits that are not here" in ended.err
    assert f"git -C {pusher.place} pull --rebase && mesh-sync check {pusher.place} && git -C" in ended.err
    assert pusher.published == "aws: sets mtu"
    pusher.git.git.fetch("--quiet")
    ended = pusher.peer("set", "phone", "--mtu", 1400, "--push", "--yes")
    assert ended.code == 4
    assert "would change" not in ended.out, "it is known without asking the host"
    pusher.git.git.pull("--quiet", "--rebase")
    assert "pushed 2 commits" in pusher.peer("set", "phone", "--mtu", 1400, "--push", "--yes").fine()
    assert "nothing to push" in pusher.peer("set", "phone", "--mtu", 1400, "--push", "--yes").fine()


@pytest.mark.parametrize("side", ["host", "own"])
def test_a_push_that_a_hook_refuses_leaves_the_commit_here(pusher: Pusher, side: str) -> None:
    name = f"{pusher.host.git_dir}/hooks/pre-receive" if side == "host" else pusher.place / ".git/hooks/pre-push"
    hook = Path(name)
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    ended = pusher.add_phone("--push", "--yes")
    assert ended.code == 4
    assert ("did not take the commit" if side == "host" else "git did not push") in ended.err
    assert f"it stays committed here; next: git -C {pusher.place} push" in ended.err
    assert pusher.git.head.commit.message == "phone: joins the mesh\n"
    assert pusher.published == "begin"


def test_a_host_that_is_not_there_is_told_and_tried_again_later(pusher: Pusher, tmp_path: Path) -> None:
    host = tmp_path / "pushing/host.git"
    host.rename(tmp_path / "gone")
    ended = pusher.add_phone("--push", "--yes")
    assert ended.code == 3
    assert "origin could not be pushed to" in ended.err
    (tmp_path / "gone").rename(host)
    pusher.peer("set", "phone", "--mtu", 1400, "--push", "--yes").fine()
    assert pusher.published == "phone: sets mtu"


def test_a_host_that_does_not_answer_is_not_waited_for_without_end(
    pusher: Pusher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 30\n")
    silent.chmod(0o755)
    pusher.git.git.config("remote.origin.receivepack", str(silent))
    monkeypatch.setattr(push, "DEADLINE", 1.0)
    ended = pusher.add_phone("--push", "--yes")
    assert ended.code == 3
    assert "gave no answer within 1 s" in ended.err


def test_what_nodes_would_refuse_is_not_pushed(pusher: Pusher) -> None:
    for number in range(4):
        pusher.add(f"old{number}", "--via", "aws", "--commit").fine()
    pusher.git.git.push("--quiet")
    for number in range(4):
        (pusher.place / f"peers/old{number}.toml").unlink()
    pusher.git.git.commit("--quiet", "--all", "-m", "spring cleaning")
    ended = pusher.peer("set", "aws", "--mtu", 1400, "--push", "--yes")
    assert ended.code == 4
    assert "nothing was pushed, nodes would refuse it:\n" in ended.err
    assert pusher.published == "old3: joins the mesh"


def test_what_is_imported_is_shown_and_pushed(pusher: Pusher, tmp_path: Path) -> None:
    words = ("import", "wg-gen-web", DATA / "web")
    assert "--push asks before it pushes" in mesh_sync(*words, pusher.place, "--push").err
    assert "--dry-run writes nothing" in mesh_sync(*words, pusher.place, "--push", "--yes", "--dry-run").err
    elsewhere = mesh_sync(*words, tmp_path / "new", "--push", "--yes")
    assert elsewhere.code == 2
    assert f"without --push; then: git -C {tmp_path / 'new'} push URL main" in elsewhere.err
    assert not (tmp_path / "new").exists()
    (pusher.place / "mesh.toml").write_text('format = 1\nname = "test"\nnetworks = ["10.0.0.0/8", "fd00::/8"]\n')
    pusher.git.git.commit("--quiet", "--all", "-m", "room for more")
    said = mesh_sync(*words, pusher.place, "--push", "--yes").fine()
    assert "next:" not in said
    assert said.index("imported 4 peers") < said.index("nodes would change") < said.index("pushed 2 commits to main")
    assert pusher.published == "mesh: imports 4 peers from wg-gen-web"


def test_where_a_person_has_to_mend_something_first_nothing_is_pushed(pusher: Pusher, tmp_path: Path) -> None:
    pusher.git.git.commit("--quiet", "--allow-empty", "-m", "from before")
    private = keys.generate()
    peer = f"[Peer]\nPublicKey = {key()}\nAllowedIPs = 10.0.0.8/32\nEndpoint = bücher.example:51820\n"
    (tmp_path / "me.conf").write_text(f"[Interface]\nPrivateKey = {private}\nAddress = 10.0.0.7/24\n{peer}")
    ended = mesh_sync("import", "wg-quick", tmp_path / "me.conf", pusher.place, "--push", "--yes")
    assert ended.code == 1
    assert pusher.published == "begin"
