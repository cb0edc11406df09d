"""Admins that a working copy has, and that what was pushed does not have: a person has to see them before a push."""

from __future__ import annotations

from pathlib import Path

from mesh_sync.check.signers import changed_admins
from mesh_sync.errors import CommandError
from mesh_sync.findings import Finding
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.mesh.tree import MAX_FILE, Tree
from mesh_sync.repository.git_objects import GitObjects, git_directory

_PUSHED = ("@{upstream}", "HEAD")
"""Where the pushed list is, as far as this clone knows; the first of these that there is."""


def unpushed_admins(directory: Path, tree: Tree) -> tuple[Finding, ...]:
    """Given the files of a working copy, return a warning for each admin that it adds or removes.

    Nothing outside git, and before the first commit.
    """
    try:
        repository = GitObjects(git_directory(directory))
        pushed = next(filter(None, (_commit(repository, revision) for revision in _PUSHED)), None)
        if pushed is None:
            return ()
        [blob] = repository.blobs_at([f"{pushed}:{SIGNERS_FILE}"])
        texts = dict(repository.contents([blob] if blob else [], MAX_FILE))
    except CommandError:
        return ()
    return tuple(changed_admins(texts.get(blob or "") or b"", tree.texts.get(SIGNERS_FILE, b"")))


def _commit(repository: GitObjects, revision: str) -> str | None:
    try:
        return repository.resolve(revision)
    except CommandError:
        return None
