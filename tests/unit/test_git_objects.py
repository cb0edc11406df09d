"""The one reader of git objects: what it returns, and what it says of damaged, large and hostile ones."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.errors import CommandError, ConfigError, Reason, Unreachable
from mesh_sync.mesh.tree import TOO_MUCH
from mesh_sync.repository import git_objects
from mesh_sync.repository.bare_copy import BareCopy
from mesh_sync.repository.git_objects import GitObjects, git_directory, tree_at


class Clone:
    """A working copy with two files and one commit."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.git("init", "-q", "-b", "main")
        (place / "mesh.toml").write_text("format = 1")
        (place / "peers").mkdir()
        (place / "peers/a.toml").write_bytes(b"\xff\n")
        self.git("add", "--all")
        self.git("-c", "user.name=a", "-c", "user.email=a@x.org", "commit", "-q", "-m", "one")
        self.head = self.git("rev-parse", "HEAD")
        self.objects = GitObjects(git_directory(place))

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", "-C", str(self.place), *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def blob(self, path: str) -> str:
        return self.git("rev-parse", f"HEAD:{path}")

    def loose(self, name: str) -> Path:
        return self.place / ".git/objects" / name[:2] / name[2:]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_a_commit_is_its_files_to_the_byte(clone: Clone) -> None:
    assert tree_at(clone.objects, clone.head).texts == {"mesh.toml": b"format = 1", "peers/a.toml": b"\xff\n"}


def test_what_is_fetched_after_a_question_is_found(clone: Clone, tmp_path: Path) -> None:
    copy = tmp_path / "copy.git"
    subprocess.run(["git", "init", "-q", "--bare", copy], check=True)
    objects = GitObjects(copy)
    assert not objects.has(clone.head)
    with pytest.raises(CommandError, match="missing or broken"):
        objects.trees([f"{clone.head}^{{tree}}"], 1000)
    fetch = ("-c", "fetch.unpackLimit=1", "fetch", "-q", clone.place, "main")  # it stays packed, as in a node's copy
    subprocess.run(["git", "-C", copy, *fetch], check=True)
    assert objects.has(clone.head)
    assert tree_at(objects, clone.head) == tree_at(clone.objects, clone.head)


def test_a_file_that_is_missing_or_another_is_named(clone: Clone) -> None:
    blob, other = clone.blob("mesh.toml"), clone.blob("peers/a.toml")
    clone.loose(blob).unlink()
    with pytest.raises(CommandError, match=f"git object {blob} is missing or broken") as caught:
        tree_at(clone.objects, clone.head)
    assert caught.value.reason is Reason.BAD_OUTPUT
    with pytest.raises(CommandError, match="missing or broken"):
        dict(clone.objects.contents([other, blob], 100))
    with pytest.raises(CommandError, match="missing or broken"):
        dict(clone.objects.read([(other, 1)]))


def test_an_object_that_is_too_large_is_left_out(clone: Clone) -> None:
    large, small = clone.blob("mesh.toml"), clone.blob("peers/a.toml")
    assert dict(clone.objects.contents([large, small, large], 5)) == {large: None, small: b"\xff\n"}
    assert list(clone.objects.blobs_at(["HEAD:mesh.toml", "HEAD:peers", "HEAD:none"])) == [large, None, None]


def test_what_takes_too_long_or_is_too_long_to_list(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_objects, "TREE_DEADLINE", 0.0001)
    with pytest.raises(Unreachable, match="takes too long to read"):
        tree_at(clone.objects, clone.head)
    monkeypatch.undo()
    monkeypatch.setattr(git_objects, "MAX_LISTING", 10)
    assert [finding.message for finding in tree_at(clone.objects, clone.head).findings] == [TOO_MUCH]


def test_a_working_copy_of_sha256_is_named(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--object-format=sha256", str(tmp_path)], check=True)
    with pytest.raises(ConfigError, match="is a SHA-256 repository, which mesh-sync does not read"):
        git_directory(tmp_path)


def test_a_mesh_repository_is_made_with_sha1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever git's own default is, or becomes."""
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    mesh_sync("init", tmp_path / "home").fine()
    assert git_directory(tmp_path / "home").exists()


def test_no_setting_of_the_repository_starts_a_program(clone: Clone) -> None:
    for name in ("core.fsmonitor", "core.sshCommand", "gpg.ssh.program", "diff.external"):
        clone.git("config", name, f"touch {clone.place}/started; false")
    assert clone.objects.resolve("main") == clone.head
    assert clone.objects.descends(clone.head, clone.head)
    tree_at(clone.objects, clone.head)
    assert not (clone.place / "started").exists()


def test_of_two_commits_that_are_read_in_turn_only_the_files_that_differ_are_read(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone.place / "peers/b.toml").write_text("b")
    (clone.place / "peers/a.toml").write_text("another a")
    clone.git("add", "--all")
    clone.git("-c", "user.name=a", "-c", "user.email=a@x.org", "commit", "-q", "-m", "two")
    asked: list[list[tuple[str, int]]] = []
    read = GitObjects.read

    def counted(self: GitObjects, chosen: Sequence[tuple[str, int]], *more: float) -> Iterator[tuple[str, bytes]]:
        asked.append(list(chosen))
        return read(self, chosen, *more)

    monkeypatch.setattr(GitObjects, "read", counted)
    first = {"mesh.toml": b"format = 1", "peers/a.toml": b"\xff\n"}
    second = {"mesh.toml": b"format = 1", "peers/a.toml": b"another a", "peers/b.toml": b"b"}
    for commit, texts, count in (("HEAD", second, 3), ("HEAD~1", first, 1), ("HEAD", second, 2), ("HEAD", second, 0)):
        asked.clear()
        assert tree_at(clone.objects, clone.git("rev-parse", commit)).texts == texts
        assert [len(each) for each in asked] == [count]
    assert tree_at(GitObjects(clone.objects.place), clone.head).texts == first, "as one reads it that has read nothing"


def test_a_copy_that_is_discarded_is_forgotten(tmp_path: Path, clone: Clone) -> None:
    bare = BareCopy(tmp_path / "bare", 64)
    clone.git("clone", "-q", "--bare", ".", str(bare.place))
    assert tree_at(bare.objects, clone.head).texts
    bare.discard()
    assert not bare.objects.last_read
    with pytest.raises(CommandError):
        tree_at(bare.objects, clone.head)
