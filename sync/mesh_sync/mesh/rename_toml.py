"""A peer's name wherever the files of a list mention it, changed so that a person's comments and layout stay. Pure.

Every key that holds a peer's name is here; `tests/unit/test_rename.py` compares them with the model's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from typing import Any

import tomlkit

from mesh_sync.errors import MeshSyncError
from mesh_sync.mesh.exits import NONE
from mesh_sync.mesh.layout import MESH_FILE, POLICY_FILE, is_peer_file, peer_path, sealed_path

OWNERS_FILES = ("CODEOWNERS", ".github/CODEOWNERS", ".gitlab/CODEOWNERS", "docs/CODEOWNERS")
"""Where git hosts look for who must agree to a change of which file."""
Rename = Callable[[str, str, str], str]
"""Given a text, the old and the new name, the text with the new one."""


def mentions(path: str, *, is_tag: bool) -> Rename | None:
    """What renames a peer in the file at ``path``, None where no peer is mentioned. ``is_tag``: its old name is a tag,
    too, which stays.
    """
    if path == MESH_FILE:
        return lambda text, old, new: in_mesh(text, old, new, is_tag=is_tag)
    if is_peer_file(path):
        return in_peer
    if path == POLICY_FILE:
        return in_policy
    return in_owners if path in OWNERS_FILES else None


def in_peer(text: str, old: str, new: str) -> str:
    """A peer's file that may name another one as its relay or exit."""
    document = _parsed(text)
    _change(document, "via", old, new)
    _change_exit(document, old, new)
    return tomlkit.dumps(document)


def in_mesh(text: str, old: str, new: str, *, is_tag: bool) -> str:
    """mesh.toml: its exit, its canaries, and what it expects."""
    document = _parsed(text)
    _change_exit(document, old, new)
    canaries = document.get("rollout", {}).get("canary", [])
    if old in canaries:
        if is_tag:
            canaries.extend([new] if new not in canaries else [])
        elif new in canaries:
            canaries.remove(old)
        else:
            canaries[canaries.index(old)] = new
    for expected in document.get("expect", []):
        _change(expected, "from", old, new)
        _change(expected, "to", old, new)
    return tomlkit.dumps(document)


def in_policy(text: str, old: str, new: str) -> str:
    """policy.toml: what the node's key may change. Raise MeshSyncError where the new name has rights already."""
    document = _parsed(text)
    nodes = document.get("nodes")
    if not isinstance(nodes, MutableMapping) or old not in nodes:
        return text
    if new in nodes:
        raise MeshSyncError(f"gives rights to {new} already", hint="take out what no peer needs")
    expected = {new if name == old else name: keys for name, keys in nodes.items()}
    in_place = re.sub(rf"(?m)^(\s*)([\"']?){re.escape(old)}\2(\s*=)", rf"\g<1>{new}\g<3>", text)
    if _parsed(in_place).unwrap().get("nodes") == expected:
        return in_place
    nodes[new] = nodes.pop(old)  # it is written in some other way
    return tomlkit.dumps(document)


def in_owners(text: str, old: str, new: str) -> str:
    """CODEOWNERS: who must agree to a change of the peer's own files."""
    for path in (peer_path, sealed_path):
        text = re.sub(rf"(?m)^(\s*/?){re.escape(path(old))}(?=\s|$)", rf"\g<1>{path(new)}", text)
    return text


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except (tomlkit.exceptions.TOMLKitError, RecursionError) as error:
        raise MeshSyncError(f"is not valid TOML: {error}", hint="correct it in an editor first") from None


def _change_exit(table: MutableMapping[str, Any], old: str, new: str) -> None:
    if old != NONE:
        _change(table, "exit", old, new)


def _change(table: MutableMapping[str, Any], key: str, old: str, new: str) -> None:
    if table.get(key) == old:
        table[key] = new
