"""A node's own commit to the list: checked and verified as every node will do, then pushed; or not pushed at all.

One commit that nodes refuse keeps all of them from every commit that comes after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve, frozen

from mesh_sync.check.examine import examine
from mesh_sync.errors import MeshSyncError
from mesh_sync.findings import errors
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.mesh.model import Mesh
from mesh_sync.repository.fresh_copy import FreshCopy
from mesh_sync.trust import signers
from mesh_sync.trust.ssh_keys import public_half
from mesh_sync.trust.verify_history import verify_clone


class NeedsAdmin(MeshSyncError):
    """This machine may not make this commit; the hint says what an admin does. Nothing was pushed."""

    def __init__(self, reason: str, *, hint: str) -> None:
        super().__init__(f"{reason}; nothing was pushed", hint=hint)


@frozen(kw_only=True)
class Change:
    """One file of the list as a node writes it: ``node`` commits, with ``signing_key`` unless it does not sign.

    The other three are hints: for a key that the list does not have, a commit that nodes would refuse, and a git host
    that does not take it.
    """

    node: str
    path: str
    text: str
    message: str
    signing_key: Path | None
    if_not_listed: str
    if_refused: str
    if_not_taken: str


def publish(copy: FreshCopy, change: Change, branch: str) -> None:
    """Commit the change on top of the copy and push it to ``branch``. Raise NeedsAdmin or MeshSyncError when nodes
    would refuse it, Unreachable when the git host does, Overtaken when another push came first.
    """
    files = {change.path: change.text}
    mesh = checked(copy, files)
    if problem := signing_problem(copy, change.node, mesh.name, change.signing_key):
        raise NeedsAdmin(problem, hint=change.if_not_listed)
    commit = copy.commit(files, f"{change.node}: {change.message}", change.node, mesh.name, change.signing_key)
    if SIGNERS_FILE in copy.tree.texts:
        for problem in verify_clone(copy.remote.bare.place, copy.head, commit).problems:
            raise NeedsAdmin(f"nodes would refuse this commit: {problem}", hint=change.if_refused)
    copy.push(commit, branch, change.if_not_taken)


def checked(copy: FreshCopy, files: Mapping[str, str] | None = None) -> Mesh:
    """The list, with these files in place. Raise MeshSyncError with every error it has."""
    texts = {**copy.tree.texts, **{path: text.encode() for path, text in (files or {}).items()}}
    mesh, findings = examine(evolve(copy.tree, texts=texts), datetime.now(UTC))
    wrong = errors(findings)
    if mesh is None or wrong:
        raise MeshSyncError("the list would have errors; nothing was pushed:\n" + "\n".join(map(str, wrong)))
    return mesh


def signing_problem(copy: FreshCopy, node: str, mesh: str, key: Path | None) -> str:
    """Why nodes would not take a commit that ``node`` signs with the key in this file; empty when they would."""
    listed = copy.tree.texts.get(SIGNERS_FILE)
    if listed is None:
        return ""
    if key is None:
        return "this mesh is signed: nodes that verify would refuse this machine's commit"
    if public_half(key) in {signer.key for signer in signers.parse(listed)[0].of(node, mesh)}:
        return ""
    return f"{SIGNERS_FILE} does not have the signing key of {node}"
