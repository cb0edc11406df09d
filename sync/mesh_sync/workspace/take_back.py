"""Taking a commit back by a new one: the files that it changed as they were before it."""

from __future__ import annotations

from pathlib import Path

from mesh_sync.errors import ConfigError, Refused
from mesh_sync.findings import printable, some
from mesh_sync.mesh.tree import Tree
from mesh_sync.workspace.edit import Edit, Edited
from mesh_sync.workspace.preview import commit_in, files_at


def take_back(edit: Edit, commit: str) -> Edited:
    """Put back what ``commit`` changed. Raise Refused where later commits have changed the same files.

    Raise ConfigError when it is no commit with something before it.
    """
    directory, copy = edit.directory, edit.open()
    after, before = files_at(directory, commit), _before(directory, commit)
    paths = sorted(path for path in after.texts.keys() | before.texts.keys() if _differs(path, before, after))
    if not paths:
        raise ConfigError(f"commit {commit[:10]} changed no file of the list")
    if later := [path for path in paths if copy.tree.texts.get(path) != after.texts.get(path)]:
        text = f"what commit {commit[:10]} did to {some(later)} has been changed since"
        raise Refused(text, hint="edit these by hand")
    files = {path: before.texts[path].decode(errors="replace") if path in before.texts else None for path in paths}
    return edit.finish(copy, files, f"takes back {commit[:10]} ({printable(', '.join(paths))})", "is as it was before")


def _before(directory: Path, commit: str) -> Tree:
    return files_at(directory, commit_in(directory, f"{commit}^1")[1])


def _differs(path: str, before: Tree, after: Tree) -> bool:
    return before.texts.get(path) != after.texts.get(path)
