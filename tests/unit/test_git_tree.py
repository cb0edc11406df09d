"""The strict reader of trees: the same answers as git's where git wrote the tree, and none where it did not."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.repository.git_objects import GitObjects, tree_at
from mesh_sync.repository.git_tree import BadTree, parse
from mesh_sync.trust import git_edits
from mesh_sync.trust.authorization import Commit, Untrusted
from mesh_sync.trust.git_edits import edits_of
from mesh_sync.trust.node_rights import Edit, forbidden
from unit.test_bare_copy import git

HASH = b"h" * 20


def entry(name: bytes, mode: bytes = b"100644") -> bytes:
    return mode + b" " + name + b"\0" + HASH


@pytest.mark.parametrize(
    "name",
    [
        b"", b".", b"..", b"a/b", b"/", b".git", b".GIT", b".gIt.", b".git ..", b"git~1", b"GIT~1 ", b".git:$DATA",
        b".git\\config", b".g\xe2\x80\x8cit", b"\xef\xbb\xbf.git", b".git\xe2\x81\xaa", b"a\nb", b"\x1b[2J", b"\x7f",
        b"\xc2\x9b2J", b"\x01",
    ],
)  # fmt: skip
def test_a_name_that_no_working_copy_should_have(name: bytes) -> None:
    with pytest.raises(BadTree):
        parse(entry(b"!") + entry(name) if name > b"!" else entry(name))


@pytest.mark.parametrize(
    "raw",
    [
        entry(b"a") + entry(b"a"),
        entry(b"a") + entry(b"a", b"40000"),
        entry(b"b") + entry(b"a"),
        entry(b"a", b"40000") + entry(b"a.b"),
        entry(b"a", b"040000"),
        entry(b"a", b"0100644"),
        entry(b"a", b"100888"),
        entry(b"a", b"20000"),
        entry(b"a")[:-1],
        entry(b"a") + b"x",
        b"x" + entry(b"a"),
        entry(b"a") + b"100644 b\0",
    ],
)
def test_an_entry_that_git_does_not_write(raw: bytes) -> None:
    with pytest.raises(BadTree):
        parse(raw)


def test_names_that_people_have() -> None:
    names = [b".github", b".gitignore", b"README", b"a b", b"a.b", b"a~1", b"git~2", b"x.git", b"\xc3\xa4", b"\xff"]
    assert list(parse(b"".join(map(entry, sorted(names))))) == sorted(names)
    assert parse(b"") == {}
    modes = (b"100644", b"100664", b"100755", b"120000", b"160000", b"40000")
    assert len(parse(b"".join(entry(b"%d" % n, mode) for n, mode in enumerate(modes)))) == len(modes)


class Work:
    """A repository, and the commits that a test makes in it."""

    def __init__(self, place: Path) -> None:
        git(place.parent, "init", "-q", "-b", "main", place.name)
        self.place, self.objects = place, GitObjects(place / ".git")

    def commit(self) -> str:
        git(self.place, "add", "-A")
        git(self.place, "commit", "-q", "--allow-empty", "-m", "change")
        return git(self.place, "rev-parse", "HEAD")

    def import_(self, changes: list[list[str]]) -> list[Commit]:
        """One commit after the other, each of these lines of `git fast-import`: one process instead of hundreds."""
        head = "commit refs/heads/main\ncommitter a <a@example.org> 0 +0000\ndata 0\n"
        first = f"from {git(self.place, 'rev-parse', 'HEAD')}\n"
        stream = "".join(
            f"{head}{first if not number else ''}" + "".join(f"{line}\n" for line in lines)
            for number, lines in enumerate(changes)
        )
        subprocess.run(["git", "fast-import", "--quiet"], cwd=self.place, input=stream, text=True, check=True)
        made = git(self.place, "rev-list", "--reverse", "--parents", f"-{len(changes)}", "main").split("\n")
        return [Commit(name, tuple(parents)) for name, *parents in map(str.split, made)]

    def tree(self, content: bytes) -> str:
        words = ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"]
        done = subprocess.run(words, cwd=self.place, input=content, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def with_tree(self, tree: str) -> Commit:
        parent = git(self.place, "rev-parse", "HEAD")
        return Commit(git(self.place, "commit-tree", "-p", parent, "-m", "crafted", tree), (parent,))


@pytest.fixture
def work(tmp_path: Path) -> Work:
    work = Work(tmp_path / "work")
    (work.place / "peers").mkdir()
    for name in ("mesh.toml", "peers/a.toml", "peers/b.toml"):
        (work.place / name).write_text(f"# {name}\n")
    work.commit()
    return work


def test_a_history_is_compared_as_git_compares_it(work: Work) -> None:
    """Files and directories that come, go, change, take each other's place, and change their mode."""
    chance = random.Random(7)
    names = ["a", "b", "peers", "peers/a.toml", "peers/b.toml", "d/e", "d/e/f", "a.b", "a/b", "d"]
    changes: list[list[str]] = []
    files = {"mesh.toml", "peers/a.toml", "peers/b.toml"}
    for _ in range(60):
        lines = []
        for name in chance.sample(names, 3):
            lines.append(f"D {name}")
            files = {file for file in files if file != name and not file.startswith(f"{name}/")}
            if chance.random() < 0.6 and not any(name.startswith(f"{file}/") for file in files):
                files.add(name)
                text = chance.choice(["the same\n", f"{chance.random()}\n"])  # at times only the mode changes
                mode = chance.choice(["100644", "100755"])
                lines.append(f"M {mode} inline {name}\ndata {len(text)}\n{text}")
        changes.append(lines)
    commits = work.import_(changes)
    found = edits_of(work.objects, commits)
    assert list(found) == [commit.name for commit in commits]
    for commit in commits:
        printed = git(work.place, "diff-tree", "-r", "--no-renames", commit.parents[0], commit.name)
        rows = [line.replace("\t", " ").lstrip(":").split() for line in printed.split("\n") if line]
        edits = found[commit.name]
        assert not isinstance(edits, Untrusted)
        assert sorted((edit.old_mode, edit.new_mode, edit.path) for edit in edits) == sorted(
            (old, new, path) for old, new, _, _, _, path in rows
        )
        if len(edits) == 1 and edits[0].new is not None:
            assert edits[0].new.decode() == git(work.place, "show", f"{commit.name}:{edits[0].path}") + "\n"


def test_what_one_commit_changes_has_its_texts(work: Work) -> None:
    parent = git(work.place, "rev-parse", "HEAD")
    (work.place / "peers/b.toml").write_text("mtu = 1400\n")
    commit = Commit(work.commit(), (parent,))
    edit = Edit("peers/b.toml", "100644", "100644", b"# peers/b.toml\n", b"mtu = 1400\n")
    assert edits_of(work.objects, [commit]) == {commit.name: (edit,)}
    assert edits_of(work.objects, []) == {}


def test_a_name_with_a_slash_is_no_path(work: Work) -> None:
    """git lists it, and compares it, like the file of b."""
    blob = bytes.fromhex(git(work.place, "rev-parse", "HEAD:mesh.toml"))
    peers = bytes.fromhex(git(work.place, "rev-parse", "HEAD:peers"))
    tree = work.tree(b"100644 mesh.toml\0" + blob + b"40000 peers\0" + peers + b"100644 peers/b.toml\0" + blob)
    bad = work.with_tree(tree)
    assert "peers/b.toml" in git(work.place, "diff-tree", "-r", bad.parents[0], bad.name)
    good = Commit(bad.parents[0], (bad.parents[0],))
    found = edits_of(work.objects, [good, bad, good])
    assert str(found[bad.name]) == (
        f"commit {bad.short} has a directory 'peers/b.toml' that has a name that no file of a mesh repository can have"
    )
    assert found[good.name] == ()
    read = tree_at(work.objects, bad.name)
    assert [str(finding) for finding in read.findings] == [
        "peers/b.toml:: has a name that no file of a mesh repository can have"
    ]
    assert not read.texts


def test_a_directory_in_place_of_a_file_is_no_edit_of_it(work: Work) -> None:
    parent = git(work.place, "rev-parse", "HEAD")
    (work.place / "peers/b.toml").unlink()
    (work.place / "peers/b.toml").mkdir()
    (work.place / "peers/b.toml/x").write_text("x")
    commit = Commit(work.commit(), (parent,))
    edits = edits_of(work.objects, [commit])[commit.name]
    assert not isinstance(edits, Untrusted)
    assert [(edit.path, edit.new_mode) for edit in edits] == [("peers/b.toml", "000000"), ("peers/b.toml/x", "100644")]
    assert forbidden("b", edits, frozenset()).startswith("change 'peers/b.toml/x'")


def test_what_is_too_deep_or_too_large_is_refused_and_costs_no_other_commit(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = git(work.place, "rev-parse", "HEAD:mesh.toml")
    tree = work.tree(b"100644 mesh.toml\0" + bytes.fromhex(blob))
    for _ in range(70):
        tree = work.tree(b"40000 d\0" + bytes.fromhex(tree))
    deep = work.with_tree(tree)
    many = work.with_tree(work.tree(b"".join(b"100644 %05d\0" % n + bytes.fromhex(blob) for n in range(20_001))))
    fine = evolve(deep, name=deep.parents[0])
    monkeypatch.setattr(git_edits, "MAX_TREE", 700_000)
    large = work.with_tree(work.tree(b"".join(b"100644 %05d\0" % n + bytes.fromhex(blob) for n in range(22_000))))
    found = edits_of(work.objects, [deep, many, large, fine])
    assert str(found[deep.name]).endswith("changes more files than a mesh has")
    assert str(found[many.name]).endswith("changes more files than a mesh has")
    assert str(found[large.name]).endswith("has a directory '' that is larger than one of a mesh")
    assert found[fine.name] == ()
    assert [str(finding) for finding in tree_at(work.objects, many.name).findings] == [
        ".:: more than 20,000 files or 16,777,216 bytes; this is not a mesh repository"
    ]
    [finding] = tree_at(work.objects, deep.name).findings
    assert finding.message == "is below more than 64 directories"
