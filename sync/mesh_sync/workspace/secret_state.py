"""How far a change of the mesh secret is: what the committed list says of it, since which commit, and who has it.

No secret is read for this, nor is there one in the list but sealed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import CommandError, ConfigError
from mesh_sync.mesh.layout import MESH_FILE, is_secret_file
from mesh_sync.mesh.model import NO_SECRET, Preshared
from mesh_sync.mesh.tree import MAX_FILE
from mesh_sync.repository.git_objects import GitObjects, git_directory
from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.typed_toml.table import Wrong
from mesh_sync.workspace.committed import Committed
from mesh_sync.workspace.edit_secrets import MOVED
from mesh_sync.workspace.own_git import OwnGit
from mesh_sync.workspace.sealed_files import Held, holders

MOST = 500
"""Commits of mesh.toml that are looked through."""
MOST_TOLD = 16
"""Different commits of nodes that are looked up."""


class Stage(Enum):
    """Where a mesh stands."""

    NONE = "none"
    SETTLED = "settled"
    ANNOUNCED = "announced"
    """Nodes begin to move at a moment that is still to come."""
    MOVING = "moving"
    MOVED = "moved"
    """All pairs have had the time for it: the former secret can be retired, once every node has the commit."""


@frozen
class Step:
    """The commit by which mesh.toml came to say what it says, and the moment that it gives."""

    commit: str
    moment: datetime


@frozen(kw_only=True)
class SecretState:
    """``use``: what mesh.toml says; ``began``: since when it names this secret; ``changed``: since when it says all of
    this. Both are None where that is longer ago than `MOST` commits of the file. ``held``: by peer; empty where the
    secret is handed out in files. ``unmanaged``: peers that follow no list, whose configs are to be exported again.
    """

    stage: Stage
    use: Preshared | None
    began: Step | None = None
    changed: Step | None = None
    held: tuple[Held, ...] = ()
    unmanaged: tuple[str, ...] = ()

    @property
    def settles(self) -> datetime | None:
        """When all pairs have had the time to move."""
        return self.use.since + MOVED if self.use and self.use.since else None

    @property
    def lacking(self) -> tuple[str, ...]:
        """Peers to which the secret in use is not sealed, though it is to others."""
        number = self.use.secret if self.use else NO_SECRET
        return tuple(one.name for one in self.held if number and number not in one.numbers)


def secret_state(committed: Committed) -> SecretState:
    """That of a committed list. Raise MeshSyncError when its history, or mesh.toml, cannot be read."""
    mesh = committed.mesh
    use = mesh.preshared
    began, changed = _steps(committed)
    copy = committed.copy()
    is_sealed = any(map(is_secret_file, committed.tree.texts))
    return SecretState(
        stage=_stage(use, committed.moment), use=use, began=began, changed=changed,
        held=tuple(holders(copy)) if use and is_sealed else (),
        unmanaged=tuple(sorted(one.name for one in mesh.peers.values() if not one.managed and use
                               and one.active(committed.moment))),
    )  # fmt: skip


def having(directory: Path, commit: str, told: Iterable[str]) -> frozenset[str]:
    """Which of the commits that nodes told are ``commit``, or come after it in the history of this clone."""
    git = OwnGit(directory)
    found = sorted(set(told) - {commit})[:MOST_TOLD]
    after = (one for one in found if git.answers("merge-base", "--is-ancestor", commit, one) is not None)
    return frozenset({commit, *after})


def _stage(use: Preshared | None, moment: datetime) -> Stage:
    if use is None:
        return Stage.NONE
    if use.former is None:
        return Stage.SETTLED
    if use.since and moment < use.since:
        return Stage.ANNOUNCED
    return Stage.MOVING if use.since and moment < use.since + MOVED else Stage.MOVED


def _steps(committed: Committed) -> tuple[Step | None, Step | None]:
    """Since when mesh.toml names the secret that it names, and since when it says all that it says of it."""
    words = ("rev-list", f"--max-count={MOST}", "--timestamp", committed.commit, "--", f":/{MESH_FILE}")
    try:
        lines = [line.split() for line in OwnGit(committed.directory)(*words).split("\n") if line]
        objects = GitObjects(git_directory(committed.directory))
        blobs = list(objects.blobs_at([f"{commit}:{MESH_FILE}" for _, commit in lines]))
        texts = dict(objects.contents(sorted({blob for blob in blobs if blob}), MAX_FILE))
    except CommandError as error:
        raise ConfigError(f"the history of {committed.directory} cannot be read: {error.message}") from None
    now = _said(committed.tree.texts.get(MESH_FILE))
    began: Step | None = None
    changed: Step | None = None
    is_same = True
    for (seconds, commit), blob in zip(lines, blobs, strict=True):
        then = _said(texts.get(blob) if blob else None)
        if then[0] != now[0]:
            return began, changed
        is_same = is_same and then == now
        began = Step(commit, datetime.fromtimestamp(int(seconds), UTC))
        changed = began if is_same else changed
    if len(lines) < MOST:
        return began, changed
    return None, None if is_same else changed  # it is longer ago


def _said(content: bytes | None) -> tuple[object, object]:
    """The number of the secret in use, and all that a mesh.toml says of it; comparable, and nothing more."""
    try:
        said = read_toml(content or b"")
    except Wrong:
        return None, None
    table = said.get("preshared")
    if said.get("preshared_keys") != "derived" or not isinstance(table, dict):
        return None, None
    return table.get("secret"), repr(sorted(table.items(), key=str))
