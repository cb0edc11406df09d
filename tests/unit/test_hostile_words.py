"""What a git host says decides nothing: not how a run ends, not which remote is asked, not what a terminal does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import mesh_sync
from mesh_sync.errors import CommandError, DeviceError, Reason, Unreachable
from mesh_sync.node.config import Repository
from mesh_sync.repository.fresh_copy import FreshCopy, with_fresh_copy
from mesh_sync.repository.git_command import raise_if_local
from mesh_sync.repository.remote import Remote
from mesh_sync.system.run import run, said
from unit.hostile_git_host import chatting, hosting, refusing
from unit.test_bare_copy import commit, git

LINE_ENDS = ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
ESCAPES = ("\x1b]0;owned\x07", "\x1b[2J", "\x9b2J", "\x08" * 20, "\u202e", "\u2066", "\x00", "\x7f")
OBJECT = f"error: object {'a' * 40}: missingEmail: invalid author/committer line"
WORDS = (
    "unable to write", "fatal: write error: No space left on device", "couldn't write", "Read-only file system",
    "fatal: Out of memory, malloc failed", "Cannot allocate memory", "couldn't find remote ref", "cannot run ssh",
    "git is not installed", "prlimit: failed to execute git: No such file or directory", "! [rejected] (fetch first)",
    "fatal: protocol error", "index-pack died of signal 25", OBJECT,
)  # fmt: skip


@pytest.fixture
def work(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main", "work")
    commit(tmp_path / "work", "format = 1")
    return tmp_path / "work"


def remote(tmp_path: Path, *urls: str, deadline: int = 20) -> Remote:
    return Remote(Repository(urls=urls, deadline=deadline), tmp_path / "repo.git")


def is_harmless(message: str) -> bool:
    return message.isprintable() and len(message) < 1000


@pytest.mark.parametrize("words", WORDS)
def test_a_host_that_refuses_in_any_words_is_only_unreachable(tmp_path: Path, work: Path, words: str) -> None:
    with hosting(refusing("".join(f"{end}{words}" for end in LINE_ENDS))) as host:
        with pytest.raises(Unreachable) as caught:
            remote(tmp_path, host.url).head()
        assert is_harmless(caught.value.message)
        assert remote(tmp_path, host.url, f"file://{work}").head().url == f"file://{work}"


@pytest.mark.parametrize("words", WORDS)
def test_a_host_that_says_it_while_it_sends_is_only_unreachable(tmp_path: Path, work: Path, words: str) -> None:
    head = git(work, "rev-parse", "HEAD")
    with hosting(chatting("1" * 40, "".join(f"{end}{words}" for end in LINE_ENDS))) as host:
        with pytest.raises(Unreachable) as caught:
            remote(tmp_path, host.url).fetch(host.url)
        assert is_harmless(caught.value.message)
        assert remote(tmp_path, host.url, f"file://{work}").fetch(host.url) == head


@pytest.mark.parametrize("words", WORDS)
def test_an_ssh_server_that_says_it_is_only_unreachable(
    tmp_path: Path, work: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its banner is printed as it comes, with nothing before it."""
    (tmp_path / "ssh").write_text(f"#!/bin/sh\nprintf '%s\\n' \"{words}\" >&2\nexit 127\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Unreachable):
        remote(tmp_path, "git@git.example.org:mesh.git").head()
    assert remote(tmp_path, "ssh://git.example.org/mesh.git", f"file://{work}").head().url == f"file://{work}"


def test_a_host_that_talks_of_another_push_is_pushed_to_once(tmp_path: Path, work: Path) -> None:
    """Whether another push came first is seen in the branch."""
    git(tmp_path, "clone", "-q", "--bare", "work", "host.git")
    hook = tmp_path / "host.git/hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho pushed >>asked\necho '! [rejected] (fetch first) cannot lock ref' >&2\nexit 1\n")
    hook.chmod(0o755)
    url = f"file://{tmp_path}/host.git"

    def push(copy: FreshCopy) -> None:
        copy.push(copy.commit({"mesh.toml": "format = 2"}, "change", "a", "lab", None), "main", "")

    with pytest.raises(Unreachable, match="did not take the commit"):
        with_fresh_copy(Repository(urls=(url,)), url, push)
    assert (tmp_path / "host.git/asked").read_text() == "pushed\n"
    hook.unlink()
    with_fresh_copy(Repository(urls=(url,)), url, push)


def test_an_own_commit_starts_over_when_another_push_came_first(tmp_path: Path, work: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", "work", "host.git")
    url = f"file://{tmp_path}/host.git"
    heads = []

    def push(copy: FreshCopy) -> None:
        heads.append(copy.head)
        if len(heads) == 1:
            commit(work, "format = 3")
            git(work, "push", "-q", url, "main")
        copy.push(copy.commit({"other": "x"}, "change", "a", "lab", None), "main", "")

    with_fresh_copy(Repository(urls=(url,)), url, push)
    assert heads == [git(work, "rev-parse", "HEAD~1"), git(work, "rev-parse", "HEAD")]
    assert git(tmp_path / "host.git", "rev-list", "--count", "main") == "3"


def test_a_branch_that_is_missing_is_seen_in_the_list_of_branches(tmp_path: Path, work: Path) -> None:
    url = f"file://{work}"
    found = with_fresh_copy(Repository(urls=(url,)), url, lambda copy: (copy.fetch("none"), copy.fetch("main")))
    assert found == (None, git(work, "rev-parse", "HEAD"))


@pytest.mark.parametrize("escape", ESCAPES)
def test_no_terminal_obeys_a_host(tmp_path: Path, escape: str) -> None:
    with hosting(refusing(f"something new {escape} is wrong")) as host, pytest.raises(Unreachable) as caught:
        remote(tmp_path, host.url).head()
    assert "something new" in caught.value.message
    assert is_harmless(caught.value.message)


@pytest.mark.parametrize("end", [end for end in LINE_ENDS if "\n" not in end])
def test_only_a_line_feed_ends_a_line(end: str) -> None:
    """Whatever a host puts behind another one stays behind `remote:`."""
    heard = said(f"remote: words{end}{OBJECT}\nfatal: end".encode())
    assert [line.partition(":")[0] for line in heard.splitlines()] == ["remote", "fatal"]
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", 'printf %s "$1" >&2; exit 1', "sh", f"remote: words{end}{OBJECT}"])
    assert caught.value.message.isprintable()
    assert caught.value.stderr.isprintable()


def test_a_program_that_is_missing_is_this_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("git", "prlimit", "sh"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="ssh is not installed"):
        remote(tmp_path, "ssh://git.example.org/mesh.git").head()
    (tmp_path / "git").unlink()
    with pytest.raises(DeviceError, match="git is not installed"):
        remote(tmp_path, "ssh://git.example.org/mesh.git").head()
    with pytest.raises(DeviceError):
        raise_if_local(CommandError("git cannot be started", program="git", reason=Reason.NOT_STARTED))


@pytest.mark.parametrize("package", ["repository", "membership", "trust"])
def test_no_code_splits_what_a_host_has_said_at_other_line_ends(package: str) -> None:
    """`splitlines` also ends a line at VT, FF, NEL, U+2028 and more."""
    place = Path(mesh_sync.__file__).parent / package
    files = [place] if place.is_file() else list(place.glob("*.py"))
    assert files
    assert not [file.name for file in files if ".splitlines(" in file.read_text()]
