"""What commits change of their first parents, read strictly from the trees themselves: what `node_rights` decides on.

git's own comparison takes an entry of the root that is literally named `peers/b.toml` for b's file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from mesh_sync.errors import CommandError, Reason
from mesh_sync.mesh.tree import MAX_FILE, MAX_FILES
from mesh_sync.repository import git_tree
from mesh_sync.repository.git_objects import MAX_DEPTH, GitObjects
from mesh_sync.trust.authorization import Commit, Untrusted
from mesh_sync.trust.node_rights import Edit

MAX_TREE = 1024 * 1024
"""Bytes of one directory; 20,000 files with names of 25 characters."""
_AT_ONCE = 8 * MAX_TREE
TOO_MUCH = "changes more files than a mesh has"
_MOST_TEXTS = 4
"""Files of a commit whose texts are read: a node may change one."""
_KEPT = 8
"""Directories that are kept as they were parsed: commit after commit has most of them in common."""
_NONE: git_tree.Entry = (b"000000", b"")
Changed = tuple[bytes, git_tree.Entry, git_tree.Entry]
"""A path, and what was and is there."""


def edits_of(repository: GitObjects, commits: Sequence[Commit]) -> dict[str, tuple[Edit, ...] | Untrusted]:
    """What each of these commits, by name, changes of its first parent, or why that cannot be read; all together.

    Raise CommandError when objects are missing.
    """
    comparisons = [_Comparison(commit) for commit in commits]
    parsed: dict[str, git_tree.Listing] = {}
    for _ in range(MAX_DEPTH):
        if not (trees := [tree for comparison in comparisons for tree in comparison.needed]):
            break
        raw = _read(repository, list(dict.fromkeys(trees)))
        for comparison in comparisons:
            comparison.go_down(partial(_listing, raw, parsed))
    blobs = [blob for comparison in comparisons for blob in comparison.blobs]
    texts = dict(repository.contents(blobs, MAX_FILE))
    return {comparison.commit.name: comparison.edits(texts) for comparison in comparisons}


class _Comparison:
    """A commit and its first parent, compared directory by directory, as deep as they differ."""

    def __init__(self, commit: Commit) -> None:
        self.commit = commit
        self._changed: list[Changed] = []
        self._level = [(b"", f"{commit.parents[0]}^{{tree}}", f"{commit.name}^{{tree}}")]
        """Directories that differ: path, tree before, tree after; empty where there is none."""
        self._problem = ""

    @property
    def needed(self) -> list[str]:
        """The trees that the next step reads."""
        return [tree for _, *trees in self._level for tree in trees if tree]

    @property
    def blobs(self) -> list[str]:
        """The files whose texts matter."""
        things = [thing for _, *entries in self._changed[:_MOST_TEXTS] for mode, thing in entries if mode[:2] == b"10"]
        return [] if self._problem else [thing.hex() for thing in things]

    def go_down(self, listing: Callable[[str], git_tree.Listing]) -> None:
        level, self._level = self._level, []
        for folder, old, new in level:
            try:
                was, now = listing(old), listing(new)
            except git_tree.BadTree as bad:
                self._end(f"has a directory {git_tree.text(folder) + bad.name!r} that {bad}")
                return
            for name in sorted({name for name, _ in was.items() ^ now.items()}):
                self._compare(folder + name, was.get(name, _NONE), now.get(name, _NONE))
            if len(self._changed) + len(self._level) > MAX_FILES:
                self._end(TOO_MUCH)
                return

    def _compare(self, path: bytes, old: git_tree.Entry, new: git_tree.Entry) -> None:
        trees = [thing.hex() if mode == git_tree.FOLDER else "" for mode, thing in (old, new)]
        if any(trees):
            self._level.append((path + b"/", trees[0], trees[1]))
        files = [_NONE if mode == git_tree.FOLDER else (mode, thing) for mode, thing in (old, new)]
        if any(file != _NONE for file in files):
            self._changed.append((path, files[0], files[1]))

    def _end(self, problem: str) -> None:
        self._problem, self._level, self._changed = problem, [], []

    def edits(self, texts: dict[str, bytes | None]) -> tuple[Edit, ...] | Untrusted:
        if self._problem or self._level:
            return Untrusted(f"commit {self.commit.short} {self._problem or TOO_MUCH}")
        return tuple(
            Edit(git_tree.text(path), old.decode(), new.decode(), texts.get(was.hex()), texts.get(now.hex()))
            for path, (old, was), (new, now) in sorted(self._changed)
        )


def _read(repository: GitObjects, trees: Sequence[str]) -> dict[str, bytes | None]:
    """Directories by the names of their trees, None in place of one that is too large; as many at once as can be."""
    try:
        return dict(repository.trees(trees, _AT_ONCE if len(trees) > 1 else MAX_TREE))
    except CommandError as error:
        if error.reason is not Reason.TOO_MUCH_OUTPUT:
            raise
    if len(trees) == 1:
        return {trees[0]: None}
    half = len(trees) // 2
    return _read(repository, trees[:half]) | _read(repository, trees[half:])


def _listing(raw: dict[str, bytes | None], parsed: dict[str, git_tree.Listing], tree: str) -> git_tree.Listing:
    if not tree:
        return {}
    if tree not in parsed:
        content = raw[tree]
        if content is None or len(content) > MAX_TREE:
            raise git_tree.BadTree("", "is larger than one of a mesh")
        if len(parsed) >= _KEPT:
            del parsed[next(iter(parsed))]
        parsed[tree] = git_tree.parse(content)
    return parsed[tree]
