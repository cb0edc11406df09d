"""The node's own copy of the mesh repository: bare, so that nothing of it is ever checked out.

It is only a copy: whatever is wrong with it, it can be thrown away and fetched again.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_sync.errors import CommandError, DeviceError, Reason, Unreachable
from mesh_sync.findings import Finding
from mesh_sync.repository.git_command import MANY_PACKS, git
from mesh_sync.repository.git_words import OUT_OF_MEMORY
from mesh_sync.system import run as processes
from mesh_sync.system.files import make_folder
from mesh_sync.system.run import run, run_bytes

if TYPE_CHECKING:
    from mesh_sync.mesh.tree import Tree


class BareCopy:
    """The bare repository at ``place``, of at most ``max_size`` MiB.

    ``whole``: the history is to be verified, so nothing of it may be missing.
    """

    def __init__(self, place: Path, max_size: int, *, whole: bool = False) -> None:
        self.place = place
        self.max_size = max_size
        self.whole = whole

    def tree(self, commit: str) -> Tree:
        """The files of a commit that is there. Raise CommandError when the copy is damaged, Unreachable when
        it takes too long or too much memory to read.
        """
        from mesh_sync.mesh import tree
        from mesh_sync.repository import git_objects  # with all that knows a mesh, which an idle run needs not

        try:
            listing = run_bytes(
                self.argv("ls-tree", "-r", "-l", "-z", "--full-tree", commit), most=git_objects.MAX_LISTING
            )
            wanted, findings = tree.choose(git_objects.entries(listing))
            blobs = "".join(f"{entry.blob}\n" for entry in wanted)
            most = git_objects.most_packed(wanted)
            packed = run_bytes(self.argv("cat-file", "--batch"), input=blobs, most=most) if wanted else b""
        except CommandError as error:
            if error.reason is Reason.TOO_MUCH_OUTPUT:
                return tree.Tree({}, (Finding(".", "", tree.TOO_MUCH),))
            _raise_if_too_hard(error, commit)
            raise
        return tree.Tree(dict(git_objects.contents(wanted, packed)), tuple(findings))

    def has(self, commit: str) -> bool:
        """Whether ``commit`` is there."""
        try:
            run(self.argv("cat-file", "-e", commit + "^{commit}"))
        except CommandError:
            return False
        return True

    def keep(self, **commits: str | None) -> None:
        """Hold on to these commits, each under a name: git clears away what no name leads to."""
        for name, commit in commits.items():
            if commit and self.has(commit):
                run(self.argv("update-ref", f"refs/mesh/{name}", commit))

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
        return run(argv, input=input, env={**_home(), **(env or {})}, deadline=deadline).strip()

    def is_whole(self) -> bool:
        """Whether all the history is there that its verification needs."""
        return not (self.whole and (self.place / "shallow").exists())

    def make(self) -> None:
        """Have one. Raise DeviceError when it cannot be made."""
        if not self.is_whole():
            self.discard()
        if (self.place / "HEAD").exists():
            return
        try:
            make_folder(self.place.parent)
            run(git("init", "--quiet", "--bare", "--template=", str(self.place), max_size=self.max_size), env=_home())
        except OSError as error:
            raise DeviceError(f"{self.place} cannot be made: {error.strerror}") from None

    def discard(self) -> None:
        """Throw it away; the next fetch makes it anew."""
        import shutil

        shutil.rmtree(self.place, ignore_errors=True)

    def sweep(self) -> None:
        """Clear away what a git that was killed left behind: locks that would block the next one, half files."""
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
        unneeded = () if too_large else ("--keep-unreachable",)
        try:
            run(self.argv("repack", "-a", "-d", "-q", *unneeded), deadline=max(1, seconds))
        except CommandError:
            self.sweep()
        if self._packs()[1] > self.max_size << 20:
            self.discard()
            return False
        return True

    def _packs(self) -> tuple[list[Path], int]:
        """The packs, and the bytes that they and their indexes have."""
        files = list(self.place.glob("objects/pack/*"))
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


def _home() -> dict[str, str]:
    return {"HOME": pwd.getpwuid(os.geteuid()).pw_dir}


def _raise_if_too_hard(error: CommandError, commit: str) -> None:
    """What is not damaged, and yet cannot be read here."""
    if error.reason is Reason.DEADLINE:
        raise Unreachable(f"commit {commit[:10]} takes too long to read") from None
    if error.says(*OUT_OF_MEMORY):
        raise Unreachable(f"commit {commit[:10]} needs more memory than git is given here") from None
