"""The list as it is committed in a working copy: what the operator's page shows and changes.

What lies uncommitted in the working tree has no part in it; a list that has errors can be read, as far as it goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from attrs import frozen

from mesh_sync.check.examine import examine
from mesh_sync.errors import CommandError
from mesh_sync.findings import Finding, errors
from mesh_sync.mesh import manifest
from mesh_sync.mesh.layout import is_peer_file, peer_name
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.mesh.tree import Tree
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.workspace.preview import commit_in, files_at
from mesh_sync.workspace.working_copy import WorkingCopy


@frozen(slots=False)
class Committed:
    """The files of one commit, with what is to be added to them, and what they declare at a moment."""

    directory: Path
    commit: str
    tree: Tree
    moment: datetime

    @cached_property
    def _read(self) -> tuple[Mesh | None, tuple[Finding, ...]]:
        return manifest.read(self.tree.manifests)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What `mesh-sync check` says of them."""
        return examine(self.tree, self.moment, advice=True, read=self._read)[1]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return errors(self.findings)

    @cached_property
    def mesh(self) -> Mesh:
        """The declared mesh; where mesh.toml cannot be read, one without a name, with the peers that can."""
        mesh, _ = self._read
        return mesh or Mesh(format=1, name="", networks=(), peers=manifest.read_peers(self.tree.manifests, []))

    @cached_property
    def view(self) -> PeerView:
        return PeerView(self.mesh, self.moment)

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The names of peers whose files cannot be read as such."""
        files = {*self.tree.texts, *(finding.file for finding in self.tree.findings)}
        return tuple(sorted({peer_name(path) for path in files if is_peer_file(path)} - self.mesh.peers.keys()))

    def peer(self, name: str) -> Peer | None:
        return self.mesh.peers.get(name)

    def text(self, path: str) -> str | None:
        """A file's text, with what is no UTF-8 replaced; None where there is no such file."""
        content = self.tree.texts.get(path)
        return None if content is None else content.decode(errors="replace")

    def with_files(self, files: Mapping[str, str | None]) -> Committed:
        """The same commit with these files; None removes one."""
        texts = {path: text for path, text in self.tree.texts.items() if path not in files}
        texts |= {path: text.encode() for path, text in files.items() if text is not None}
        left = tuple(finding for finding in self.tree.findings if finding.file not in files)
        return Committed(self.directory, self.commit, Tree(texts, left), self.moment)

    def copy(self) -> WorkingCopy:
        """These files as something that can be edited. Raise MeshSyncError when mesh.toml is broken."""
        return WorkingCopy.of(self.directory, self.tree, self.moment, on_disk=False)


class Head:
    """The commit that a clone is at, for one who asks again and again: where its objects are is looked up once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._objects: GitObjects | None = None

    def commit(self) -> str:
        """The commit now. Raise ConfigError when there is no such repository or commit."""
        if self._objects is not None:
            with suppress(CommandError):
                return self._objects.resolve("HEAD")
        self._objects, commit = commit_in(self._directory, "HEAD")
        return commit


def read_commit(directory: Path, revision: str = "HEAD") -> Committed:
    """The list at a commit of a working copy. Raise ConfigError when there is no such repository or commit."""
    commit = commit_in(directory, revision)[1]
    return Committed(directory, commit, files_at(directory, commit), datetime.now(UTC))
