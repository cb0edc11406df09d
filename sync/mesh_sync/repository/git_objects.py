"""The one reader of git objects: commits, trees and files in a git directory, as the bounded git program prints them.

All of it may be hostile: no setting of the repository, the user or the system counts, and memory, output and time have
limits (docs/limits.md).
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from mesh_sync.errors import CommandError, ConfigError, Reason, Unreachable
from mesh_sync.findings import Finding
from mesh_sync.mesh.tree import MAX_FILES, TOO_MUCH, Entry, Tree, choose
from mesh_sync.repository import git_tree
from mesh_sync.repository.git_command import git
from mesh_sync.system.conversation import Conversation
from mesh_sync.system.run import MOST_PRINTED, run, run_bytes

DEADLINE = 20.0
"""Seconds for git to read a piece of history, or to verify one signature."""
TREE_DEADLINE = 10.0
"""Seconds for git to list, and as many to read, the files of a commit."""
MAX_LISTING = 4 * 1024 * 1024
"""Bytes of the directories of one level; 20,000 files with 200 characters of each."""
MAX_DEPTH = 64
"""Directories in each other."""
_AT_ONCE = 8_000
"""Objects that git is asked for at once."""
_BYTES_AT_ONCE = 8 * 1024 * 1024
FEW, FEW_BYTES = 64, 256 * 1024
"""So many objects are read without being listed first, unless they are larger than so many bytes all together."""
HELD = 4 * 1024 * 1024
"""Bytes of objects that are held."""
_HASH = 40
"""Characters of the name of an object (SHA-1)."""
_CONTENT, _SIZE = "--batch", "--batch-check"
_KINDS = ("blob", "commit", "tree")
_HEADER = 100
"""Bytes that git prints around the content of an object, at most: its name, its type, its size."""
_SETTINGS = (
    "gpg.format=ssh", "gpg.ssh.program=ssh-keygen", "gpg.openpgp.program=/bin/false", "gpg.x509.program=/bin/false",
    "gpg.ssh.revocationFile=",
)  # fmt: skip
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_ATTR_NOSYSTEM": "1",
    "GIT_GRAFT_FILE": "/dev/null", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0",
}  # fmt: skip


def git_directory(working_copy: Path) -> Path:
    """Where the objects of a working copy are. Raise CommandError when it is none, ConfigError when it is SHA-256."""
    start = ["git", "-c", f"safe.directory={working_copy.absolute()}", "-C", str(working_copy), "rev-parse"]
    directory = Path(os.fsdecode(run_bytes([*start, "--absolute-git-dir"]).removesuffix(b"\n")))
    if run([*start, "--show-object-format"]).strip() != "sha1":
        raise ConfigError(f"{working_copy} is a SHA-256 repository, which mesh-sync does not read")
    return directory


class GitObjects:
    """The objects of one repository: a node's bare copy, or the `.git` of a working copy."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.forget()

    def forget(self) -> None:
        """Know nothing of the objects, as some may be gone."""
        self.last_read: dict[str, bytes] = {}
        """The files of the commit that was read last, by their hashes: most are those of the next one, too."""
        self._there = set[str]()
        self._descents = set[tuple[str, str]]()
        self._held = dict[str, tuple[str, bytes]]()
        self._bytes_held = 0
        self._readers = {how: Conversation(self._argv("cat-file", how), _ENVIRONMENT) for how in (_CONTENT, _SIZE)}

    def git(
        self,
        *words: str,
        input: str | None = None,
        pass_fds: Sequence[int] = (),
        most: int = MOST_PRINTED,
        deadline: float = DEADLINE,
    ) -> bytes:
        """What git prints, at most ``most`` bytes. Raise CommandError when it fails: something is missing or broken."""
        argv = self._argv(*words)
        return run_bytes(argv, input=input, env=_ENVIRONMENT, deadline=deadline, pass_fds=pass_fds, most=most)

    def _argv(self, *words: str) -> list[str]:
        settings = (*_SETTINGS, f"safe.directory={self.place}")
        options = [part for setting in settings for part in ("-c", setting)]
        return git(*options, "--git-dir", str(self.place), *words, max_size=1)

    def _ask(self, how: str, names: Sequence[str], most: int = MOST_PRINTED, deadline: float = DEADLINE) -> bytes:
        """What `git cat-file` prints of these objects. It stays, for the next question: a run has some twenty."""
        end = f"end-{os.urandom(16).hex()}"  # the name of no object: what git says of it ends the answer
        question = "".join(f"{name}\n" for name in (*names, end))
        return self._readers[how].ask(question.encode(), f"{end} missing\n".encode(), most=most, deadline=deadline)

    def resolve(self, revision: str) -> str:
        """The full hash of a commit. Raise CommandError when there is no such commit."""
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return self.git(*words).decode().strip()

    def has(self, commit: str) -> bool:
        """Whether the commit is there."""
        if commit not in self._there and self._is_commit(commit):
            self._there.add(commit)
        return commit in self._there

    def _is_commit(self, name: str) -> bool:
        try:
            return [kind for _, kind, _ in self._listed([f"{name}^{{commit}}"])] == ["commit"]
        except CommandError as error:
            if error.reason is not Reason.EXIT_STATUS:
                raise
            return False

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether ``ancestor`` is the commit itself or one before it; not when it is not there at all."""
        pair = (commit, ancestor)
        if pair in self._descents:
            return True
        found = self.has(ancestor) and self._answer("merge-base", "--is-ancestor", ancestor, commit) is not None
        if found:
            self._descents.add(pair)
        return found

    def fork(self, commit: str, other: str) -> str | None:
        """The newest commit that both descend from; None where there is none."""
        found = self._answer("merge-base", commit, other)
        return found.decode().strip() if found is not None else None

    def _answer(self, *words: str) -> bytes | None:
        """What git prints; None where it says no, by its exit status."""
        try:
            return self.git(*words)
        except CommandError as error:
            if error.reason is not Reason.EXIT_STATUS:
                raise
            return None

    def blobs_at(self, paths: Sequence[str]) -> Iterator[str | None]:
        """The blob at each `COMMIT:PATH`, None where there is no file."""
        return (name if kind == "blob" else None for name, kind, _ in self._listed(paths))

    def contents(self, names: Sequence[str], most: int) -> Iterator[tuple[str, bytes | None]]:
        """Each object, None in place of one of more than ``most`` bytes. Raise CommandError if one is missing."""
        names = list(dict.fromkeys(names))
        if (few := self._few(names)) is not None:
            yield from ((name, few[name] if len(few[name]) <= most else None) for name in names)
            return
        chosen: list[tuple[str, int]] = []
        total = 0
        for name, (_, kind, size) in zip(names, self._listed(names), strict=True):
            if not kind:
                raise damaged(name)
            if size > most:
                yield name, None
                continue
            if total + size > _BYTES_AT_ONCE or len(chosen) >= _AT_ONCE:
                yield from self.read(chosen)
                chosen, total = [], 0
            chosen.append((name, size))
            total += size
        yield from self.read(chosen)

    def _few(self, names: Sequence[str]) -> dict[str, bytes] | None:
        """Some objects of whatever size, read by one git; None if they are too many or too large all together."""
        if len(names) > FEW:
            return None
        try:
            return self._read_unlisted(names, _KINDS, FEW_BYTES, DEADLINE)
        except CommandError as error:
            if error.reason is Reason.TOO_MUCH_OUTPUT:
                return None
            raise

    def _read_unlisted(
        self, names: Sequence[str], kinds: Container[str], most: int, deadline: float
    ) -> dict[str, bytes]:
        """Objects of these kinds, ``most`` bytes all together; those that are held are not read again."""
        unread = [name for name in names if self._held.get(name, ("", b""))[0] not in kinds]
        packed = b""
        if unread:
            packed = self._ask(_CONTENT, unread, most, deadline)
        found = dict[str, bytes]()
        for name, kind, content in unpacked(unread, packed, kinds):
            found[name] = content
            if self._bytes_held + len(content) <= HELD:
                self._bytes_held += len(content)
                self._held[name] = kind, content
        return {name: found[name] if name in found else self._held[name][1] for name in names}

    def read(self, chosen: Sequence[tuple[str, int]], deadline: float = DEADLINE) -> Iterator[tuple[str, bytes]]:
        """Given names and sizes, yield names and contents, read by one git. Raise CommandError if one is missing."""
        if not chosen:
            return
        names, most = [name for name, _ in chosen], sum(size + _HEADER for _, size in chosen)
        packed = self._ask(_CONTENT, names, most, deadline)
        for (name, size), (_, _, content) in zip(chosen, unpacked(names, packed), strict=True):
            if len(content) != size:
                raise damaged(name)
            yield name, content

    def sizes(self, blobs: Sequence[str]) -> Iterator[tuple[str, int]]:
        """Each blob and its size. Raise CommandError if one is missing."""
        blobs = list(dict.fromkeys(blobs))
        for blob, (_, kind, size) in zip(blobs, self._listed(blobs), strict=True):
            if kind != "blob":
                raise damaged(blob)
            yield blob, size

    def trees(self, names: Sequence[str], most: int) -> dict[str, bytes]:
        """The tree object that each name leads to, ``most`` bytes all together. Raise CommandError."""
        return self._read_unlisted(list(dict.fromkeys(names)), ("tree",), most, TREE_DEADLINE)

    def _listed(self, names: Sequence[str]) -> Iterator[tuple[str, str, int]]:
        """Name, type and size of each object; no type where there is no such object."""
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            for line in self._ask(_SIZE, some).decode().split("\n")[:-1]:
                name, *words = line.rsplit(" ", 2)
                yield (name, words[0], int(words[1])) if len(words) == 2 and words[1].isdigit() else (name, "", 0)


def unpacked(names: Sequence[str], packed: bytes, kinds: Container[str] = _KINDS) -> Iterator[tuple[str, str, bytes]]:
    """Given what `git cat-file --batch` prints for these names, yield each with its kind and content.

    Raise CommandError if one is missing, of another kind, cut, or another one than its hash says.
    """
    begin = 0
    for name in names:
        header, _, _ = packed[begin : begin + _HEADER].partition(b"\n")
        words = header.decode(errors="replace").split(" ")
        thing, kind, size = words if len(words) == 3 else ("", "", "")
        is_other = len(name) == _HASH and thing != name
        if is_other or kind not in kinds or not (size.isascii() and size.isdigit()):
            raise damaged(name)
        begin += len(header) + 1
        content = packed[begin : begin + int(size)]
        if len(content) < int(size):
            raise damaged(name)
        yield name, kind, content
        begin += len(content) + 1


def damaged(name: str) -> CommandError:
    """The error for an object that is missing, or is not what it is listed as."""
    return CommandError(f"git object {name} is missing or broken", program="git", reason=Reason.BAD_OUTPUT)


def tree_at(repository: GitObjects, commit: str) -> Tree:
    """The files of a commit that is there. Raise CommandError when one is missing or broken, or takes more memory than
    git is given; Unreachable when they take too long to read.
    """
    try:
        listed, bad = _walk(repository, commit)
        known = repository.last_read
        blobs = {thing for _, mode, thing in listed if mode != git_tree.SUBMODULE}
        sizes = {blob: len(known[blob]) for blob in blobs & known.keys()}
        sizes |= dict(repository.sizes(sorted(blobs - known.keys())))
        entries = (
            Entry(git_tree.text(path), int(mode, 8), sizes.get(thing, 0), thing) for path, mode, thing in sorted(listed)
        )
        chosen, findings = choose(entries)
        unread = {entry.blob: entry.size for entry in chosen if entry.blob not in known}
        contents = known | dict(repository.read(list(unread.items()), TREE_DEADLINE))
        texts = {entry.path: contents[entry.blob] for entry in chosen}
        repository.last_read = {entry.blob: contents[entry.blob] for entry in chosen}
    except CommandError as error:
        if error.reason is Reason.TOO_MUCH_OUTPUT:
            return Tree({}, (Finding(".", "", TOO_MUCH),))
        if error.reason is Reason.DEADLINE:
            raise Unreachable(f"commit {commit[:10]} takes too long to read") from None
        raise
    return Tree(texts, (*bad, *findings))


def _walk(repository: GitObjects, commit: str) -> tuple[list[tuple[bytes, bytes, str]], list[Finding]]:
    """Path, mode and object of everything in a commit that is no directory, and the directories that are not read."""
    found: list[tuple[bytes, bytes, str]] = []
    level, bad, count = [(b"", f"{commit}^{{tree}}")], [], 0
    for _ in range(MAX_DEPTH):
        raw = repository.trees([thing for _, thing in level], MAX_LISTING) if level else {}
        below = []
        for folder, tree in level:
            try:
                listing = git_tree.parse(raw[tree])
            except git_tree.BadTree as problem:
                bad.append(Finding(git_tree.text(folder) + problem.name or ".", "", str(problem)))
                continue
            count += len(listing)
            if count > MAX_FILES:
                return [], [Finding(".", "", TOO_MUCH)]
            things = [(folder + name, mode, binary.hex()) for name, (mode, binary) in listing.items()]
            found += [thing for thing in things if thing[1] != git_tree.FOLDER]
            below += [(path + b"/", thing) for path, mode, thing in things if mode == git_tree.FOLDER]
        level = below
    bad += [Finding(git_tree.text(level[0][0]), "", f"is below more than {MAX_DEPTH} directories")] if level else []
    return found, bad
