"""This node's own commits to the list: signed with a key that the others take, or not pushed at all.

One commit that nodes refuse keeps all of them from every commit that comes after it.
"""

from __future__ import annotations

from pathlib import Path

from mesh_sync.errors import MeshSyncError
from mesh_sync.membership.push import Author, Copy
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.node.config import Node
from mesh_sync.trust import signers
from mesh_sync.trust.ssh_keys import public_half


def signed(node: Node, copy: Copy, path: str, text: str, what: str) -> str:
    """Commit ``text`` as the file ``path``; return the commit. Raise MeshSyncError when nodes would refuse it."""
    mesh = copy.mesh({path: text})
    author = Author(node.name, mesh.name, _signing_key(node, copy, mesh.name))
    commit = copy.commit({path: text}, f"{node.name}: {what}", author)
    if SIGNERS_FILE in copy.tree().texts:
        _check(copy, commit)
    return commit


def _signing_key(node: Node, copy: Copy, mesh: str) -> Path | None:
    """The file of the key to sign with; None where commits are not signed."""
    file, listed = node.signing_key_file, copy.tree().texts.get(SIGNERS_FILE)
    if not file.exists():
        if listed is None and node.trust.mode == "none":
            return None
        text = f"{file} does not exist, and commits have to be signed here"
        hint = f"make one, here:\n  ssh-keygen -q -t ed25519 -N '' -f {file}\n  then "
        raise _refused(text, hint + _by_an_admin(node, mesh, f"<the line in {file}.pub>"))
    if listed is not None and (key := public_half(file)) not in _keys(listed, node.name, mesh):
        text = f"{SIGNERS_FILE} does not have the signing key of {node.name}"
        raise _refused(text, _by_an_admin(node, mesh, key))
    return file


def _keys(listed: bytes, name: str, mesh: str) -> set[str]:
    return {signer.key for signer in signers.parse(listed)[0].of(name, mesh)}


def _check(copy: Copy, commit: str) -> None:
    from mesh_sync.trust.verify_history import untrusted

    if problems := untrusted(copy.remote.bare.place, copy.head, commit).problems:
        raise _refused(f"nodes would refuse this commit: {problems[0][1]}", "docs/trust.md says who may do what")


def _by_an_admin(node: Node, mesh: str, key: str) -> str:
    command = f"mesh-sync signer add {node.name}@node.{mesh} '{key}' --commit"
    return f"an admin adds it, in a working copy of the list, and pushes:\n  {command}\n  then run it again, here"


def _refused(text: str, hint: str) -> MeshSyncError:
    return MeshSyncError(f"{text}; nothing was pushed", hint=hint)
