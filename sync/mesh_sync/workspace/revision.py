"""The files of a commit in a person's clone."""

from __future__ import annotations

from pathlib import Path

from mesh_sync.errors import CommandError, ConfigError, Reason
from mesh_sync.mesh.tree import Tree
from mesh_sync.repository.commit_tree import tree_at
from mesh_sync.repository.git_objects import GitObjects, git_directory


def objects_of(directory: Path) -> GitObjects:
    """The objects of the clone that ``directory`` is in. Raise ConfigError when it is in none."""
    try:
        return GitObjects(git_directory(directory))
    except CommandError as error:
        known = error.reason is Reason.EXIT_STATUS
        raise ConfigError(f"{directory} is not a git repository" if known else error.message) from None


def files_at(directory: Path, revision: str) -> Tree:
    """The files of one commit. Raise ConfigError when there is no such repository or commit."""
    objects = objects_of(directory)
    try:
        commit = objects.resolve(revision)
    except CommandError:
        raise ConfigError(f"{revision!r} is not a commit of {directory}") from None
    try:
        return tree_at(objects, commit)
    except CommandError as error:
        raise ConfigError(f"commit {commit[:10]} of {directory} cannot be read: {error.message}") from None
