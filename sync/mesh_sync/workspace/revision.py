"""Commits of a mesh repository that a person has at hand, through GitPython."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import git
from git.objects import Blob, Submodule

from mesh_sync.errors import ConfigError
from mesh_sync.mesh.tree import SUBMODULE, Entry, Tree, choose


def tree_at(directory: Path, revision: str) -> Tree:
    """The files of one commit. Raise ConfigError when there is no such repository or commit."""
    try:
        with git.Repo(directory, search_parent_directories=True) as repository:
            commit = repository.commit(revision)
            blobs = {str(blob.path): blob for blob in _blobs(commit.tree)}
            wanted, findings = choose(_entry(blob) for blob in blobs.values())
            texts = {entry.path: _content(blobs[entry.path]) for entry in wanted}
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        raise ConfigError(f"{directory} is not a git repository") from None
    except (git.BadName, ValueError, git.GitCommandError):
        raise ConfigError(f"{revision!r} is not a commit of {directory}") from None
    return Tree(texts, tuple(findings))


def _blobs(tree: git.Tree) -> Iterator[Blob | Submodule]:
    for item in tree.traverse():
        if isinstance(item, Blob | Submodule):
            yield item


def _entry(item: Blob | Submodule) -> Entry:
    return Entry(str(item.path), item.mode, 0 if item.mode == SUBMODULE else item.size, item.hexsha)


def _content(item: Blob | Submodule) -> bytes:
    data: bytes = item.data_stream.read()
    return data
