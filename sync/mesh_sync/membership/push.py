"""A node's own commit to the list: a fresh copy, one file, a signature, a push; anew when somebody else was quicker.

The copy is bare, and nothing of it is checked out: no filter or hook of anybody's sees the files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from attrs import evolve, frozen

from mesh_sync.check.examine import examine
from mesh_sync.errors import CommandError, MeshSyncError, Unreachable
from mesh_sync.findings import errors, printable
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.tree import Tree
from mesh_sync.node.config import Repository
from mesh_sync.repository.git_words import NO_SUCH_REF, OVERTAKEN, public
from mesh_sync.repository.remote import Remote, environment

T = TypeVar("T")
ATTEMPTS = 5
"""How often the file is written anew because somebody else pushed first."""


class Overtaken(Exception):
    """Somebody else pushed between our look and our push."""


@frozen
class Author:
    """The node that commits, and the file of the SSH key that signs; None where nobody signs."""

    node: str
    mesh: str
    signing_key: Path | None = None

    @property
    def principal(self) -> str:
        return f"{self.node}@node.{self.mesh}"

    @property
    def environment(self) -> dict[str, str]:
        roles = ("AUTHOR", "COMMITTER")
        return {f"GIT_{role}_NAME": self.node for role in roles} | {
            f"GIT_{role}_EMAIL": self.principal for role in roles
        }


def until_pushed(work: Callable[[], T], url: str, note: Callable[[str], None]) -> T:
    """Copy, edit and push, again while others push first. Raise Unreachable when that never ends."""
    for _ in range(ATTEMPTS):
        try:
            return work()
        except Overtaken:
            note("somebody else pushed first: once more")
    raise Unreachable(f"{public(url)} changed {ATTEMPTS} times under our hands", hint="try again")


@frozen
class Copy:
    """The list as it is at the git host: a bare copy of the branch, its whole history, and its newest commit."""

    remote: Remote
    url: str
    head: str

    def tree(self) -> Tree:
        """The files of the newest commit."""
        return self.remote.bare.tree(self.head)

    def mesh(self, files: Mapping[str, str] | None = None) -> Mesh:
        """The list, with these files in place. Raise MeshSyncError with every error it has."""
        tree = self.tree()
        texts = {**tree.texts, **{path: text.encode() for path, text in (files or {}).items()}}
        mesh, findings = examine(evolve(tree, texts=texts), datetime.now(UTC))
        wrong = errors(findings)
        if mesh is None or wrong:
            raise MeshSyncError("the list would have errors, nothing was pushed:\n" + "\n".join(map(str, wrong)))
        return mesh

    def commit(self, files: Mapping[str, str], message: str, author: Author) -> str:
        """Commit these files on top of the newest commit, signed if the author has a key; return the new commit."""
        git, index = self.remote.bare.git, {"GIT_INDEX_FILE": str(self.remote.bare.place / "mesh-index")}
        git("read-tree", self.head, env=index)
        for path, text in files.items():
            blob = git("hash-object", "-w", "--stdin", input=text)
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
        tree = git("write-tree", env=index)
        signed = []
        if author.signing_key:
            settings = ("gpg.format=ssh", "gpg.ssh.program=ssh-keygen", f"user.signingKey={author.signing_key}")
            signed = [word for setting in settings for word in ("-c", setting)]
        words = ["commit-tree", *(["-S"] if signed else []), "-p", self.head, "-m", message, tree]
        return git(*words, options=signed, env=author.environment)

    def branch(self, name: str) -> str | None:
        """Fetch another branch; return its newest commit, or None when there is no such branch. Raise Unreachable."""
        try:
            self._ask("fetch", "--quiet", "--no-tags", "--", self.url, f"+refs/heads/{name}:refs/mesh/other")
        except CommandError as error:
            if error.says(NO_SUCH_REF):
                return None
            raise Unreachable(f"{public(self.url)} did not deliver {name}: {_said(error)}") from None
        return self.remote.bare.git("rev-parse", "--verify", "refs/mesh/other^{commit}")

    def push(self, commit: str, target: str, hint: str) -> None:
        """Push a commit to the branch ``target``. Raise Overtaken, or Unreachable with ``hint``."""
        try:
            self._ask("push", "--quiet", "--", self.url, f"{commit}:refs/heads/{target}")
        except CommandError as error:
            if error.says(*OVERTAKEN):
                raise Overtaken from None
            raise Unreachable(f"{public(self.url)} did not take the commit: {_said(error)}", hint=hint) from None

    def _ask(self, *words: str) -> None:
        seconds = self.remote.settings.deadline
        self.remote.bare.git(*words, env=environment(self.remote.settings, seconds), deadline=seconds)


@contextmanager
def copied(settings: Repository, url: str, *, whole: bool = False) -> Iterator[Copy]:
    """A copy of the branch, for as long as the body runs. Raise Unreachable, or Refused when it is no sound history.

    ``whole``: it is to be verified, so nothing of its history may be missing.
    """
    with tempfile.TemporaryDirectory(prefix="mesh-sync-") as folder:
        remote = Remote(evolve(settings, urls=(url,)), Path(folder) / "mesh.git", whole=whole)
        yield Copy(remote, url, remote.fetch(remote.head().url))


def _said(error: CommandError) -> str:
    """What git's remote said, in one line."""
    return printable(public(" ".join((error.stderr or error.message).split())))
