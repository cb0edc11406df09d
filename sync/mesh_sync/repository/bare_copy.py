"""The node's own copy of the mesh repository: bare, so that nothing of it is ever checked out.

It is only a copy: when anything is wrong with it, it is deleted and fetched again.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.repository.git_command import MANY_PACKS, git
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.system import run as processes
from mesh_sync.system.files import make_folder, raise_if_unwritable
from mesh_sync.system.run import run

CANDIDATE = "refs/mesh/candidate"


class BareCopy:
    """The bare repository at ``place``, of at most ``max_size`` MiB.

    ``whole``: the history is to be verified, so nothing of it may be missing.
    """

    def __init__(self, place: Path, max_size: int, *, whole: bool = False) -> None:
        self.place = place
        self.objects = GitObjects(place)
        self.max_size = max_size
        self.whole = whole

    @property
    def incoming(self) -> Path:
        """Where a fetch puts what comes, until it is checked (`Incoming`)."""
        return self.place / "incoming"

    @property
    def shallow(self) -> Path:
        """git's list of commits whose parents are missing on purpose; not there when the history is complete."""
        return self.place / "shallow"

    def point_at(self, commit: str) -> None:
        """Name the commit that was fetched last, so that git keeps it."""
        self._write(self.argv("update-ref", CANDIDATE, commit))

    def keep(self, **commits: str | None) -> None:
        """Hold on to these commits, each under a ref: git drops what no ref leads to."""
        there = {name: commit for name, commit in commits.items() if commit and self.objects.has(commit)}
        if there:
            lines = [f"update refs/mesh/{name} {commit}\n" for name, commit in there.items()]
            self._write(self.argv("update-ref", "--stdin"), "".join(lines))

    def git(
        self,
        *words: str,
        options: Sequence[str] = (),
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        deadline: float = processes.DEADLINE,
    ) -> str:
        """Run a git command on it, with git's own ``options`` before it. Raise CommandError."""
        argv = self.argv(*options, *words)
        return run(argv, input=input, env={**home(), **(env or {})}, deadline=deadline).strip()

    def is_whole(self) -> bool:
        """Whether the history is complete, if it has to be."""
        return not (self.whole and self.shallow.exists())

    def make(self) -> None:
        """Make it where it is missing. Raise DeviceError when it cannot be made."""
        if not self.is_whole():
            self.discard()
        if (self.place / "HEAD").exists():
            return
        try:
            make_folder(self.place.parent)
        except OSError as error:
            raise DeviceError(f"{self.place} cannot be made: {error.strerror}") from None
        words = ("init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(self.place))
        self._write(git(*words, max_size=self.max_size))

    def _write(self, argv: Sequence[str], input: str | None = None) -> None:
        """Run a git command that writes here and asks no remote. Raise DeviceError when the disk does not take it."""
        try:
            run(argv, input=input, env=home())
        except CommandError:
            raise_if_unwritable(self.place if self.place.exists() else self.place.parent)
            raise

    def discard(self) -> None:
        """Delete it; the next fetch makes another."""
        self.objects.forget()
        remove(self.place)

    def sweep(self) -> None:
        """Delete what a killed git left behind: locks that would block the next one, and files not yet taken over."""
        remove(self.incoming)
        for path in self.place.rglob("*"):
            if path.suffix == ".lock" or path.name.startswith("tmp_"):
                path.unlink(missing_ok=True)

    def tidy(self, seconds: float) -> bool:
        """Join many small packs into one. A copy above the size allowed loses what neither the branch
        nor `keep` needs; one that is too large even so goes as a whole: then return False.
        """
        packs, size = self._packs()
        too_large = size > self.max_size << 20
        if len(packs) <= MANY_PACKS and not too_large:
            return True
        self.objects.forget()
        unneeded = () if too_large else ("--keep-unreachable",)
        try:
            run(self.argv("repack", "-a", "-d", "-q", *unneeded), deadline=max(1, seconds))
            if too_large:
                run(self.argv("prune", "--expire=now"), deadline=max(1, seconds))
        except CommandError:
            self.sweep()
        if self._packs()[1] > self.max_size << 20:
            self.discard()
            return False
        return True

    def is_tidy(self) -> bool:
        """Whether `tidy` would change nothing."""
        packs, size = self._packs()
        return len(packs) <= MANY_PACKS and size <= self.max_size << 20

    def _packs(self) -> tuple[list[Path], int]:
        """The packs, and the bytes that all objects and the packs' indexes have."""
        files = list(self.place.glob("objects/*/*"))
        return [file for file in files if file.suffix == ".pack"], sum(file.stat().st_size for file in files)

    def is_sound(self, seconds: float) -> bool:
        """Whether nothing is missing or broken, as far as ``seconds`` are enough to see."""
        try:
            run(self.argv("fsck", "--no-dangling", "--no-progress"), deadline=seconds)
        except CommandError as error:
            return error.reason not in (Reason.EXIT_STATUS, Reason.SIGNAL)
        return True

    def argv(self, *words: str) -> list[str]:
        """The command line of git on this repository."""
        return git("--git-dir", str(self.place), *words, max_size=self.max_size)


def remove(folder: Path) -> None:
    """Delete a folder, if it is there."""
    if folder.exists():
        import shutil  # with every compressor of the library, which an idle run does not need

        shutil.rmtree(folder, ignore_errors=True)


def home() -> dict[str, str]:
    """Where git and ssh find the user's own settings."""
    return {"HOME": pwd.getpwuid(os.geteuid()).pw_dir}
