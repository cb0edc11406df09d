"""What a remote sends, in a repository of its own until it is checked; only then does it become part of the copy.

It lies within the bare copy and borrows the copy's objects (gitrepository-layout(5), `alternates`), so that a remote
sends what is new. A run that is killed leaves nothing behind that the next one would take for checked.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from types import TracebackType

from mesh_sync.errors import Cause, CommandError, DeviceError, Reason, Refused, Unreachable
from mesh_sync.findings import Finding
from mesh_sync.repository.bare_copy import BareCopy, remove
from mesh_sync.repository.git_command import DUMB, git, public, quoted
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.repository.remote_address import RemoteAddress
from mesh_sync.system.files import raise_if_unwritable, write_atomically
from mesh_sync.system.run import run

CHECKING = 5.0
"""Seconds for the check of what has come, at least: it is this machine's work, however long the network took."""
_REF = "refs/mesh/incoming"
_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
_UNSOUND = re.compile(r"object ([0-9a-f]{40}): \w+: (.+)")
"""What git says of an object that its check (git-fsck(1), "Fsck Messages") refuses."""


class Incoming:
    """One fetch of a branch from one remote. Used in a `with`, whose end drops everything that was not taken over."""

    def __init__(self, bare: BareCopy, address: RemoteAddress, branch: str) -> None:
        self._bare = bare
        self._address = address
        self._branch = branch
        self._place = bare.incoming

    def __enter__(self) -> Incoming:
        remove(self._place)
        try:
            for folder in ("objects/info", "objects/pack", "refs"):
                (self._place / folder).mkdir(parents=True, mode=0o700)
            files: dict[str, str | bytes] = {
                "HEAD": "ref: refs/heads/none\n",
                "config": _CONFIG,
                "objects/info/alternates": f"{self._bare.place.absolute()}/objects\n",
            }
            if self._bare.shallow.exists():
                files["shallow"] = self._bare.shallow.read_bytes()
            for name, content in files.items():
                write_atomically(self._place / name, content, durable=False)
        except OSError as error:
            raise DeviceError(f"{self._place} cannot be made: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        remove(self._place)

    def fetch(self, env: Mapping[str, str], seconds: float, *, direct: bool = False) -> str:
        """Let the remote send the branch; return its commit, checked and in the copy. ``direct``: by ``env``, no user's
        settings lead to another address.

        Raise Refused when what it sends is no sound git history, Unreachable when it delivers nothing, CommandError
        when git fails, DeviceError when this machine's disk is full or not to be written.
        """
        end = time.monotonic() + seconds
        env = {**env, **self._address.environment}
        # The whole history, however deep: nothing else makes git give up when a web server offers loose files instead
        # of git's protocol. Those would come without a bound and without a check.
        bare = self._address.bare
        effective = bare if direct else run(self._git("ls-remote", "--get-url", "--", bare), env=env)
        deep = ["--depth=2147483647"] if effective.startswith("http") else []
        shallow = [] if self._bare.whole else ["--update-shallow"]
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *shallow, *deep)
        argv = self._git(*words, "--", bare, f"+refs/heads/{self._branch}:{_REF}")
        try:
            run(argv, env=env, deadline=seconds)
        except CommandError as error:
            raise_if_unwritable(self._bare.place)  # while what has come still takes its room there
            if error.reason is Reason.DEADLINE:
                raise Unreachable(
                    f"{self._name} did not deliver branch {self._branch!r} within {seconds:.0f} s"
                ) from None
            raise
        # Without the ref: git only warns when it does not accept a shallow history.
        if not (self._place / _REF).exists() or (self._bare.whole and (self._place / "shallow").exists()):
            text = f"{self._name} has a shallow history, which cannot be verified"
            raise Refused(text, hint="git fetch --unshallow in that repository", lasting=False, cause=Cause.UNTRUSTED)
        commit = GitObjects(self._place).resolve(_REF)
        self._check(end)
        self._take_over(commit)
        return commit

    def _check(self, end: float) -> None:
        """Have git examine everything that has come, whatever brought it."""
        if any(self._place.glob("objects/??/*")):
            raise Unreachable(f"{self._name} {DUMB}")
        for pack in self._place.glob("objects/pack/*.pack"):
            words = ("index-pack", "--verify", "--strict", str(pack))
            try:
                GitObjects(self._place).git(*words, deadline=max(CHECKING, end - time.monotonic()))
            except CommandError as error:
                if findings := list(unsound(error)):
                    # Not lasting: a remote can add an unsound object to anybody's sound commit.
                    text = f"{self._name} sends objects that are no sound git history"
                    raise Refused(text, findings=findings, lasting=False, cause=Cause.UNTRUSTED) from None
                raise Unreachable(f"{self._name} sends what cannot be checked: {quoted(error.message)}") from None

    def _take_over(self, commit: str) -> None:
        """Make what has come a part of the copy: an index last, for git sees a pack by it."""
        target = self._bare.place / "objects/pack"
        try:
            target.mkdir(exist_ok=True)
            if (self._place / "shallow").exists():
                (self._place / "shallow").replace(self._bare.shallow)
            else:
                self._bare.shallow.unlink(missing_ok=True)
            files = self._place.glob("objects/pack/pack-*")
            for file in sorted(files, key=lambda file: (file.suffix == ".idx", file.name)):
                file.replace(target / file.name)
        except OSError as error:
            raise DeviceError(f"{target} cannot be written: {error.strerror}") from None
        self._bare.point_at(commit)

    def _git(self, *words: str) -> list[str]:
        return git("--git-dir", str(self._place), *self._address.options, *words, max_size=self._bare.max_size)

    @property
    def _name(self) -> str:
        return public(self._address.url)


def unsound(error: CommandError) -> Iterator[Finding]:
    """What git's check finds wrong; nothing of the remote's own words is in it."""
    for name, what in _UNSOUND.findall(error.stderr):
        yield Finding(".", "", f"{what} (git object {name[:10]})")
