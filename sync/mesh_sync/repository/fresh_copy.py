"""The list, copied fresh from the git host to commit on top of: copy, commit, push, and all of it again if overtaken.

The copy is bare and the commit is made by git's plumbing: nothing is checked out, so no filter or hook sees the files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from attrs import evolve, frozen

from mesh_sync.errors import CommandError, Unreachable
from mesh_sync.mesh.tree import Tree
from mesh_sync.node.config import Repository
from mesh_sync.repository.git_command import public, quoted, raise_if_local
from mesh_sync.repository.git_objects import GitObjects, tree_at
from mesh_sync.repository.incoming import Incoming
from mesh_sync.repository.remote import Remote, environment
from mesh_sync.repository.remote_address import RemoteAddress

T = TypeVar("T")
Note = Callable[[str], None]
ATTEMPTS = 5
"""How often the work is done again because another push came first."""


class Overtaken(Exception):
    """Another push came between this copy and its push."""


@frozen
class FreshCopy:
    """A bare copy of the branch, which ``head`` is the newest commit of."""

    remote: Remote
    url: str
    head: str

    @property
    def objects(self) -> GitObjects:
        return self.remote.bare.objects

    @cached_property
    def tree(self) -> Tree:
        """The files of the newest commit."""
        return tree_at(self.objects, self.head)

    def commit(self, files: Mapping[str, str], message: str, node: str, mesh: str, signing_key: Path | None) -> str:
        """Commit these files as ``node`` on top of the newest commit, signed if there is a key; return the commit."""
        git, index = self.remote.bare.git, {"GIT_INDEX_FILE": str(self.remote.bare.place / "mesh-index")}
        git("read-tree", self.head, env=index)
        for path, text in files.items():
            blob = git("hash-object", "-w", "--stdin", input=text)
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
        tree = git("write-tree", env=index)
        signing: list[str] = []
        if signing_key:
            settings = ("gpg.format=ssh", "gpg.ssh.program=ssh-keygen", f"user.signingKey={signing_key}")
            signing = [word for setting in settings for word in ("-c", setting)]
        words = ["commit-tree", *(["-S"] if signing else []), "-p", self.head, "-m", message, tree]
        who = {"NAME": node, "EMAIL": f"{node}@node.{mesh}"}
        env = {f"GIT_{role}_{what}": text for role in ("AUTHOR", "COMMITTER") for what, text in who.items()}
        return git(*words, options=signing, env=env)

    def fetch(self, branch: str) -> str | None:
        """Fetch another branch; return its newest commit, or None when there is no such branch.

        Raise Unreachable, Refused.
        """
        settings = self.remote.settings
        try:
            if self.remote.newest(self.url, branch, settings.deadline) is None:
                return None
            with Incoming(self.remote.bare, RemoteAddress.of(self.url), branch) as incoming:
                return incoming.fetch(environment(settings, settings.deadline), settings.deadline)
        except CommandError as error:
            raise_if_local(error)
            raise Unreachable(f"{public(self.url)} did not deliver {branch}: {_words(error)}") from None

    def push(self, commit: str, branch: str, hint: str) -> None:
        """Push a commit to ``branch``, another one than the own only if it is new.

        Raise Overtaken, or Unreachable with ``hint``.
        """
        seconds = self.remote.settings.deadline
        address = RemoteAddress.of(self.url)
        words = ("push", "--quiet", "--", address.bare, f"{commit}:refs/heads/{branch}")
        env = {**environment(self.remote.settings, seconds), **address.environment}
        try:
            self.remote.bare.git(*words, options=address.options, env=env, deadline=seconds)
        except CommandError as error:
            raise_if_local(error)
            before = self.head if branch == self.remote.settings.branch else None
            try:
                present = self.remote.newest(self.url, branch, seconds)
            except (CommandError, Unreachable):
                present = before
            if present not in (before, commit):  # the branch itself tells: what the host says is not to be trusted
                raise Overtaken from None
            if present != commit:
                raise Unreachable(f"{public(self.url)} did not take the commit: {_words(error)}", hint=hint) from None


def with_fresh_copy(
    settings: Repository,
    url: str,
    work: Callable[[FreshCopy], T],
    note: Note = lambda text: None,
    *,
    whole: bool = False,
) -> T:
    """Do ``work`` with a copy of the branch, and with another one for as long as other pushes come first.

    ``whole``: its history is to be verified, so nothing of it may be missing. Raise Unreachable, or Refused when it is
    no sound history.
    """
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix="mesh-sync-") as folder:
            remote = Remote(evolve(settings, urls=(url,)), Path(folder) / "mesh.git", whole=whole)
            try:
                return work(FreshCopy(remote, url, remote.fetch(remote.head().url)))
            except Overtaken:
                note("another push came first: starting over")
    raise Unreachable(f"{public(url)} received other pushes during {ATTEMPTS} attempts", hint="try again")


def _words(error: CommandError) -> str:
    """What git and the remote printed."""
    return quoted(error.stderr or error.message)
