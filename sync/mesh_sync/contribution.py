"""A node's own commit to the list: a fresh clone, one file, a push; made anew when somebody else was quicker."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import git

from mesh_sync.checks import examine
from mesh_sync.errors import MeshSyncError, Unreachable
from mesh_sync.findings import errors, printable
from mesh_sync.model import Mesh
from mesh_sync.node import Repository
from mesh_sync.remote import environment, public, trouble
from mesh_sync.tree import from_directory

T = TypeVar("T")
ATTEMPTS = 5
"""How often the file is written anew because somebody else pushed first."""


class Overtaken(Exception):
    """Somebody else pushed between our look and our push."""


def until_pushed(work: Callable[[], T], url: str, note: Callable[[str], None]) -> T:
    """Clone, edit and push, again while others push first. Raise Unreachable when that never ends."""
    for _ in range(ATTEMPTS):
        try:
            return work()
        except Overtaken:
            note("somebody else pushed first: once more")
    raise Unreachable(f"{public(url)} changed {ATTEMPTS} times under our hands", hint="try again")


@contextmanager
def cloned(settings: Repository, url: str) -> Iterator[git.Repo]:
    """A clone of the branch's head, for as long as the body runs. Raise Unreachable."""
    with tempfile.TemporaryDirectory(prefix="mesh-sync-") as folder:
        program = git.Git(folder)
        program.update_environment(**environment(settings, settings.deadline))
        place = str(Path(folder) / "mesh")
        words = ["--quiet", "--depth", "1", "--no-tags", "--branch", settings.branch, "--", url, place]
        try:
            program.clone(*words, kill_after_timeout=settings.deadline)
        except git.GitCommandError as error:
            if "Remote branch" in error.stderr:
                text = f"{public(url)} has no branch {settings.branch!r}"
                raise Unreachable(text, hint="push a list first: mesh-sync init lays one down") from None
            raise Unreachable(f"{public(url)} {trouble(error.stderr)}") from None
        with git.Repo(place) as repository:
            repository.git.update_environment(**environment(settings, settings.deadline))
            yield repository


def commit(repository: git.Repo, path: str, message: str, name: str, mesh: str) -> None:
    """Commit one file as this node."""
    repository.git.add("--", path)
    who = git.Actor(name, f"{name}@node.{mesh}")
    repository.index.commit(message, author=who, committer=who, skip_hooks=True)


def push(repository: git.Repo, settings: Repository, url: str, target: str, hint: str) -> None:
    """Push HEAD to the branch ``target``. Raise Overtaken, or Unreachable with ``hint``."""
    try:
        repository.git.push("--quiet", "origin", f"HEAD:refs/heads/{target}", kill_after_timeout=settings.deadline)
    except git.GitCommandError as error:
        if "fetch first" in error.stderr or "non-fast-forward" in error.stderr or "cannot lock ref" in error.stderr:
            raise Overtaken from None
        raise Unreachable(f"{public(url)} did not take the commit: {_said(error.stderr)}", hint=hint) from None


def _said(stderr: str) -> str:
    """What git's remote said, in one line."""
    words = stderr.partition("stderr: '")[2] or stderr
    return printable(public(" ".join(words.strip(" '\n").split())))


def declared(repository: git.Repo) -> Mesh:
    """The list in a clone. Raise MeshSyncError with every error it has."""
    mesh, findings = examine(from_directory(Path(repository.working_dir)), datetime.now(UTC))
    wrong = errors(findings)
    if mesh is None or wrong:
        raise MeshSyncError("the list would have errors, nothing was pushed:\n" + "\n".join(map(str, wrong)))
    return mesh
