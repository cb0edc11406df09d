"""A git repository, read by the git program as if it were hostile: bounded, and with nothing of its settings heeded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import CommandError, Reason
from mesh_sync.repository import git_command
from mesh_sync.system.run import limited, run_bytes

DEADLINE = 20.0
"""Seconds for git to read a piece of history, or to verify one signature."""


_AT_ONCE = 8_000
"""Objects that git is asked for at once."""


_BYTES_AT_ONCE = 8 * 1024 * 1024


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
        argv = limited(argv, memory=git_command.MEMORY, file=1)
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
            if error.reason is not Reason.EXIT_STATUS:
                raise
            return False
        return True

    def resolve(self, revision: str) -> str:
        """The full hash of a commit. Raise CommandError when there is none of that name."""
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return self.git(*words).decode().strip()


def blobs_at(repository: GitDir, places: Sequence[str]) -> Iterator[str | None]:
    """The blob at each `COMMIT:PATH`, None where there is no file."""
    for some in _batches(places):
        printed = repository.git("cat-file", "--batch-check", input="".join(f"{place}\n" for place in some))
        for line in printed.decode().splitlines():
            name, kind, *_ = [*line.rsplit(" ", 2), ""]
            yield name if kind == "blob" else None


def contents(repository: GitDir, names: Sequence[str], most: int) -> Iterator[tuple[str, bytes | None]]:
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
    return CommandError(f"git object {name} is missing or broken", program="git", reason=Reason.BAD_OUTPUT)
