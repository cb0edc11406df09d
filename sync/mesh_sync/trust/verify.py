"""History as git tells it, and git's word on a signature: the edge of `lineage`. Reads a repository, changes nothing.

Only the exit code of `git verify-commit` counts, with a file of just those lines that may have signed; no settings but
ours have a say.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from mesh_sync.errors import CommandError, DeviceError, TooMuchPrinted
from mesh_sync.mesh import plain_toml
from mesh_sync.mesh.manifest import MESH_FILE
from mesh_sync.mesh.tree import MAX_FILE
from mesh_sync.repository import git_program
from mesh_sync.run import limited, run_bytes
from mesh_sync.trust import signature, signers
from mesh_sync.trust.lineage import Commit, Rules, Untrusted
from mesh_sync.trust.policy import POLICY_FILE, Edit, Policy
from mesh_sync.trust.policy import parse as parse_policy
from mesh_sync.trust.signers import SIGNERS_FILE, Signer

DEADLINE = 20.0
"""Seconds for git to read a piece of history, or to verify one signature."""
MAX_COMMITS = 100_000
"""Commits that are looked at at once; a mesh that changes ten times a day makes them in 27 years."""
_AT_ONCE = 8_000
"""Objects that git is asked for at once."""
_BYTES_AT_ONCE = 8 * 1024 * 1024
Place = tuple[str, str]
"""The name of a file, and the blob that it is."""
_OUR_TROUBLE = ("could not create temp", "cannot run", "No space left", "failed writing detached signature")
"""What git says when it is this machine that keeps it from verifying."""
_OURS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "gpg.format=ssh", "gpg.ssh.program=ssh-keygen",
    "gpg.openpgp.program=/bin/false", "gpg.x509.program=/bin/false", "gpg.ssh.revocationFile=",
)  # fmt: skip
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_ATTR_NOSYSTEM": "1",
    "GIT_GRAFT_FILE": "/dev/null", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0",
}  # fmt: skip


@frozen
class GitDir:
    """The objects of one repository: a node's bare copy, or the `.git` of a working copy."""

    place: Path

    def git(self, *words: str, input: str | None = None, pass_fds: Sequence[int] = ()) -> bytes:
        """What git prints. Raise CommandError when it fails: something is missing or broken."""
        options = [part for setting in (*_OURS, f"safe.directory={self.place}") for part in ("-c", setting)]
        argv = ["git", "--no-replace-objects", *options, "--git-dir", str(self.place), *words]
        argv = limited(argv, memory=git_program.MEMORY, file=1)
        return run_bytes(argv, input=input, env=_ENVIRONMENT, deadline=DEADLINE, pass_fds=pass_fds)

    def has(self, commit: str) -> bool:
        """Whether the commit is there."""
        return self._says("cat-file", "-e", f"{commit}^{{commit}}")

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether ``ancestor`` is the commit itself or one before it; not when it is not there at all."""
        return self.has(ancestor) and self._says("merge-base", "--is-ancestor", ancestor, commit)

    def _says(self, *words: str) -> bool:
        try:
            self.git(*words)
        except CommandError as error:
            if error.status is None:
                raise
            return False
        return True

    def resolve(self, revision: str) -> str:
        """The full hash of a commit. Raise CommandError when there is none of that name."""
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return self.git(*words).decode().strip()


def commits(repository: GitDir, head: str, known: Iterable[str]) -> tuple[Commit, ...]:
    """What of the history of ``head`` is not history of ``known``, parents first, every parent path.

    Without edits yet. Raise Untrusted for a history that nobody could mean.
    """
    known = tuple(known)
    words = ("rev-list", "--topo-order", "--reverse", "--parents", f"--max-count={MAX_COMMITS + 1}")
    try:
        lines = repository.git(*words, head, "--not", *known).decode().splitlines()
    except TooMuchPrinted:
        lines = [""] * (MAX_COMMITS + 1)
    if len(lines) > MAX_COMMITS:
        raise Untrusted(f"commit {head[:10]} brings more than {MAX_COMMITS:,} commits")
    found = {name: Commit(name, tuple(parents)) for name, *parents in map(str.split, lines)}
    if known and (len(known) > 1 or any(len(commit.parents) > 1 for commit in found.values())):
        for name in repository.git("rev-list", *known).decode().split():  # git goes by dates, which signers choose
            found.pop(name, None)
    for name, text in _contents(repository, list(found), MAX_FILE):
        if text is None:
            raise Untrusted(f"commit {name[:10]} is longer than {MAX_FILE:,} bytes")
        found[name] = evolve(found[name], signature=signature.read(text))
    return tuple(found.values())


def with_edits(repository: GitDir, commit: Commit) -> Commit:
    """The same commit with what it changes of its first parent. Raise Untrusted when that is beyond all measure."""
    words = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-commit-id")
    try:
        printed = repository.git(*words, commit.parents[0], commit.name)
    except TooMuchPrinted:
        raise Untrusted(f"commit {commit.short} changes more files than a mesh has") from None
    parts = printed.decode(errors="backslashreplace").split("\0")
    edits = [(*meta.lstrip(":").split()[:4], path) for meta, path in zip(parts[::2], parts[1::2], strict=False)]
    blobs = [blob for edit in edits[:4] for blob in edit[2:4] if int(blob, 16)]
    texts = dict(_contents(repository, blobs, MAX_FILE))
    return evolve(
        commit,
        edits=tuple(Edit(path, old, new, texts.get(was), texts.get(now)) for old, new, was, now, path in edits),
    )


def rules(repository: GitDir, names: Iterable[str], read: dict[Place, Any] | None = None) -> dict[str, Rules]:
    """The rules at each of these commits, as their files have them. ``read``: what was read before, and is now."""
    read = {} if read is None else read
    names = list(dict.fromkeys(names))
    places = [(name, file) for name in names for file in _READERS]
    blobs = dict(zip(places, _blobs(repository, [f"{name}:{file}" for name, file in places]), strict=True))
    new = {(file, blob) for (_, file), blob in blobs.items() if blob and (file, blob) not in read}
    texts = dict(_contents(repository, sorted({blob for _, blob in new}), MAX_FILE))
    read.update({(file, blob): _READERS[file](texts[blob] or b"") for file, blob in new})
    found = {place: read[place[1], blob] if blob else None for place, blob in blobs.items()}
    return {
        name: Rules(found[name, SIGNERS_FILE], found[name, MESH_FILE] or "", found[name, POLICY_FILE] or Policy())
        for name in names
    }


def _mesh_name(content: bytes) -> str:
    """The name of the mesh, as far as mesh.toml tells."""
    try:
        name = plain_toml.loads(content).get("name")
    except (ValueError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""


_READERS: Mapping[str, Callable[[bytes], Any]] = {
    SIGNERS_FILE: lambda content: signers.parse(content)[0],
    MESH_FILE: _mesh_name,
    POLICY_FILE: lambda content: parse_policy(content)[0],
}


def _blobs(repository: GitDir, places: Sequence[str]) -> Iterator[str | None]:
    """The blob at each `COMMIT:PATH`, None where there is no file."""
    for some in _batches(places):
        printed = repository.git("cat-file", "--batch-check", input="".join(f"{place}\n" for place in some))
        for line in printed.decode().splitlines():
            name, kind, *_ = [*line.rsplit(" ", 2), ""]
            yield name if kind == "blob" else None


def _contents(repository: GitDir, names: Sequence[str], most: int) -> Iterator[tuple[str, bytes | None]]:
    """The content of each object, None for one of more than ``most`` bytes. Raise CommandError if one is missing."""
    names = list(dict.fromkeys(names))
    wanted: list[str] = []
    total = 0
    for name, size in zip(names, _sizes(repository, names), strict=True):
        if size > most:
            yield name, None
            continue
        if wanted and (total + size > _BYTES_AT_ONCE or len(wanted) >= _AT_ONCE):
            yield from _unpacked(repository, wanted)
            wanted, total = [], 0
        wanted.append(name)
        total += size
    yield from _unpacked(repository, wanted)


def _sizes(repository: GitDir, names: Sequence[str]) -> Iterator[int]:
    for some in _batches(names):
        printed = repository.git("cat-file", "--batch-check=%(objectsize)", input="".join(f"{n}\n" for n in some))
        for name, size in zip(some, printed.decode().splitlines(), strict=True):
            if not size.isdigit():
                raise _damaged(name)
            yield int(size)


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def _unpacked(repository: GitDir, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    if not names:
        return
    packed = repository.git("cat-file", "--batch", input="".join(f"{name}\n" for name in names))
    position = 0
    for name in names:
        end = packed.find(b"\n", position)
        header = packed[position : max(end, position)].split()
        if len(header) != 3 or header[0] != name.encode():
            raise _damaged(name)
        yield name, packed[end + 1 : end + 1 + int(header[2])]
        position = end + 2 + int(header[2])


def _damaged(name: str) -> CommandError:
    return CommandError(f"git object {name} is missing or broken", program="git", status=None)


def is_signed(repository: GitDir, commit: Commit, lines: tuple[Signer, ...]) -> bool:
    """Whether one of these lines' keys has signed the commit: the exit code of `git verify-commit`."""
    descriptor = os.memfd_create("allowed_signers")
    try:
        with os.fdopen(os.dup(descriptor), "w") as file:
            file.write(signers.text(lines))
        setting = f"gpg.ssh.allowedSignersFile=/proc/self/fd/{descriptor}"
        repository.git("-c", setting, "verify-commit", commit.name, pass_fds=[descriptor])
    except CommandError as error:
        if error.status is None:
            raise
        if shutil.which("ssh-keygen") is None:
            raise DeviceError("ssh-keygen is not installed; it verifies the signatures of commits") from None
        if any(words in error.stderr for words in _OUR_TROUBLE):
            raise DeviceError(f"signatures cannot be verified: {error.message}") from None
        return False
    finally:
        os.close(descriptor)
    return True
