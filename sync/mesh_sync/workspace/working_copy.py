"""A mesh repository's working copy, changed only into something that `mesh-sync check` would accept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from attrs import frozen

from mesh_sync.check.examine import Read, examine
from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.findings import WARNING, Finding, errors
from mesh_sync.mesh import manifest
from mesh_sync.mesh.layout import MESH_FILE, PEERS
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.tree import Tree, from_directory
from mesh_sync.system.shell_words import quote
from mesh_sync.workspace.output import write_output

PUBLIC = 0o644


@frozen(slots=False)
class WorkingCopy:
    """The files of a mesh repository as they are on disk, and the mesh they declare."""

    directory: Path
    tree: Tree
    mesh: Mesh
    moment: datetime
    _read: Read
    on_disk: bool = True
    """Whether the files are those in the directory, and not of a commit of it, say."""

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """All that is wrong or doubtful. Looked for when it is asked for: an edit looks at what comes of it first."""
        return examine(self.tree, self.moment, advice=True, read=self._read)[1]

    @cached_property
    def _known(self) -> frozenset[Finding]:
        return frozenset(self.findings)

    @classmethod
    def open(cls, directory: Path) -> WorkingCopy:
        """Read a working copy. Raise ConfigError when there is none, MeshSyncError when its mesh.toml is broken."""
        if not os.path.lexists(directory / MESH_FILE):
            raise _no_list(directory, "-C DIR")
        return cls.of(directory, read_list(directory), datetime.now(UTC))

    @classmethod
    def of(cls, directory: Path, tree: Tree, moment: datetime, *, on_disk: bool = True) -> WorkingCopy:
        """A working copy with these files. Raise MeshSyncError when its mesh.toml is broken."""
        read = manifest.read(tree.manifests)
        mesh, _ = read
        if mesh is None:
            _, findings = examine(tree, moment, read=read)
            lines = "\n".join(str(error) for error in errors(findings) if error.file == MESH_FILE)
            raise MeshSyncError(f"{directory.absolute()} cannot be used:\n{lines}")
        return cls(directory, tree, mesh, moment, read, on_disk)

    @property
    def some_names(self) -> str:
        """The first peers' names, for a hint."""
        return ", ".join(sorted(self.mesh.peers)[:20]) or "no peers yet"

    def verify(self, files: Mapping[str, str | None]) -> tuple[Finding, ...]:
        """The findings with these files, by path; None removes one.

        Raise MeshSyncError when the list would have errors that it does not have yet.
        """
        texts = {path: text for path, text in self.tree.texts.items() if path not in files}
        texts |= {path: text.encode() for path, text in files.items() if text is not None}
        tree = Tree(texts, tuple(finding for finding in self.tree.findings if finding.file not in files))
        findings = examine(tree, self.moment, advice=True)[1]
        if new := [error for error in errors(findings) if error not in self._known]:
            raise MeshSyncError("nothing was written, the list would have errors:\n" + "\n".join(map(str, new)))
        return findings

    def news(self, files: Mapping[str, str | None]) -> tuple[Finding, ...]:
        """The new warnings and the old errors with these files, which pass `verify`."""
        findings = self.verify(files)
        warnings = (f for f in findings if f.severity == WARNING and f not in self._known)
        return (*warnings, *errors(findings))

    @contextmanager
    def written(self, files: Mapping[str, str | None]) -> Iterator[None]:
        """Replace, add and remove (None) files, and put back what was there if what follows raises."""
        before = {path: self._present(path) for path in files}
        done: list[str] = []
        try:
            for path, text in files.items():
                done.append(path)
                _put(self.directory / path, text)
            yield
        except BaseException:
            for path in done:
                _put(self.directory / path, before[path])
            raise

    def _present(self, path: str) -> bytes | Path | None:
        """What is at a path: a file's content, or where a symbolic link leads."""
        file = self.directory / path
        try:
            if file.is_symlink():
                return file.readlink()
            return file.read_bytes() if os.path.lexists(file) else None
        except OSError as error:
            raise ConfigError(f"{file} cannot be read: {error.strerror}") from None

    def has(self, path: str) -> bool:
        """Whether there is something at a path, be it a file that cannot be read."""
        if self.on_disk:
            return os.path.lexists(self.directory / path)
        return path in self.tree.texts or any(finding.file == path for finding in self.tree.findings)

    def says(self, path: str, *texts: str | bytes | None) -> bool:
        """Whether a file has one of these texts; None: whether there is none."""
        present = self.tree.texts.get(path)
        if present is None:
            return None in texts and not self.has(path)
        return present in {text.encode() if isinstance(text, str) else text for text in texts}

    def text(self, path: str) -> str | None:
        """One file's text, None if there is none. Raise MeshSyncError when it cannot be edited as text."""
        if path in self.tree.texts:
            try:
                return self.tree.texts[path].decode()
            except UnicodeDecodeError:
                raise MeshSyncError(f"{path} is not UTF-8 text", hint="correct it in an editor first") from None
        if self.has(path):
            wrong = "\n".join(str(f) for f in self.findings if f.file == path)
            raise MeshSyncError(wrong or f"{path} is not a plain file")
        return None


def read_list(directory: Path, option: str = "-C DIR") -> Tree:
    """The files of a working copy. Raise ConfigError, and read nothing, where nothing looks like a mesh repository.

    ``option``: how the command is told of another directory.
    """
    if not any(os.path.lexists(directory / name) for name in (MESH_FILE, PEERS)):
        raise _no_list(directory, option)
    try:
        return from_directory(directory)
    except OSError as error:
        raise ConfigError(f"{error.filename or directory} cannot be read: {error.strerror}") from None


def _no_list(directory: Path, option: str) -> ConfigError:
    place = directory.absolute()
    hint = f"{option} names another directory; `mesh-sync init DIR` creates one"
    if above := next((folder for folder in place.parents if os.path.lexists(folder / MESH_FILE)), None):
        hint = f"there is one above: {option.removesuffix('DIR')}{quote(str(above))}"
    return ConfigError(f"{place} is not a mesh repository: it has no {MESH_FILE}", hint=hint)


def _put(path: Path, text: str | bytes | Path | None) -> None:
    try:
        if isinstance(text, Path):
            path.unlink(missing_ok=True)
            path.symlink_to(text)
            return
        if text is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be changed: {error.strerror}") from None
    write_output(path, text, PUBLIC)
