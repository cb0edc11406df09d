"""What a list calls this node: the name in node.toml, or the one that the peer of that name and key was given since.

A key alone does not say who a machine is: a copy of a disk has it too. So a machine goes by its key only where the list
itself had that key under the name in node.toml, or has it for the peer that was renamed from that.
"""

from __future__ import annotations

from mesh_sync.errors import ConfigError
from mesh_sync.mesh.layout import PEERS, peer_name, peer_path
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.tree import MAX_FILE
from mesh_sync.node.config import Node
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.typed_toml.table import Wrong
from mesh_sync.wireguard.keys import public_key, read_private_key

LOOKED_AT = 50
"""The newest commits that changed the file of a name; the last but one says what it held before it went."""
NONE = "0" * 40
"""The blob of a file that is not there."""


def own_name(node: Node, mesh: Mesh, commit: str, repository: GitObjects) -> str:
    """The name in ``mesh``, the list at ``commit``, of the peer that this machine is; that of node.toml if it is none.

    Raise CommandError when the history cannot be read.
    """
    try:
        held = public_key(read_private_key(node.private_key_file))
    except ConfigError:  # the step that needs the key reports it
        return node.name
    listed = mesh.peers.get(node.name)
    if listed and held in listed.keys:
        return node.name
    found = next((peer.name for peer in mesh.peers.values() if held in peer.keys), node.name)
    if found == node.name or _had(held, node.name, commit, repository):
        return found
    return found if found in _names_since(node.name, commit, repository) else node.name


def _had(key: str, name: str, commit: str, repository: GitObjects) -> bool:
    """Whether the list, up to ``commit``, had this public key under that name."""
    path = peer_path(name)
    some = repository.git("rev-list", f"--max-count={LOOKED_AT}", commit, "--", path).decode().split()
    blobs = [blob for blob in repository.blobs_at([f"{one}:{path}" for one in some]) if blob]
    return any(key in _keys(text or b"") for _, text in repository.contents(blobs, MAX_FILE))


def _names_since(name: str, commit: str, repository: GitObjects) -> frozenset[str]:
    """What the peer of that name was called later, each time with a key that it had when it was renamed.

    It may have changed its key between two renames, and since the last one.
    """
    words = ("--format=", "--raw", "-z", "--no-abbrev", "--no-renames", "--diff-filter=AD", commit, "--", PEERS)
    printed = iter(repository.git("log", *words).decode(errors="replace").strip("\n").split("\0"))
    came, went = list[tuple[str, str]](), list[tuple[str, str]]()
    for part in printed:
        if part.lstrip("\n").startswith(":"):
            _, _, old, new, _ = part.split(" ")
            path = next(printed)
            (came if old == NONE else went).append((peer_name(path), new if old == NONE else old))
    texts = dict(repository.contents([blob for _, blob in (*came, *went)], MAX_FILE))
    keys = {blob: frozenset(_keys(text or b"")) for blob, text in texts.items()}
    found, grown = frozenset[str](), frozenset({name})
    while grown != found:
        found = grown
        had = frozenset[object]().union(*(keys[blob] for other, blob in went if other in found))
        grown = found | {other for other, blob in came if keys[blob] & had}
    return found


def _keys(text: bytes) -> tuple[object, ...]:
    """The public keys that a peer's file names."""
    try:
        table = read_toml(text)
    except Wrong:
        return ()
    return tuple(key for key in (table.get("public_key"), table.get("next_public_key")) if isinstance(key, str))
