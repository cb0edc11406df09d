"""`mesh-sync peer add|set|remove`: one peer's file in a mesh repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.mesh.edit_toml import Value, edited, made
from mesh_sync.mesh.layout import SIGNERS_FILE, peer_path, sealed_path
from mesh_sync.mesh.list_changes import peer_at
from mesh_sync.trust.guard import TRAILER
from mesh_sync.trust.signers import parse, without
from mesh_sync.typed_toml.fields import LABEL
from mesh_sync.wireguard.keys import generate, public_key, read_private_key
from mesh_sync.workspace.edit import Change, Edit, Edited
from mesh_sync.workspace.edit_signers import with_key
from mesh_sync.workspace.output import write_output
from mesh_sync.workspace.own_git import OwnGit
from mesh_sync.workspace.typed import in_copy
from mesh_sync.workspace.working_copy import WorkingCopy


def add(edit: Edit, name: str, values: Mapping[str, Any], new_key: Path | None = None, signing_key: str = "") -> Edited:
    """Add a peer; without addresses it gets a free one of each network. ``new_key``: the file of its private key.

    ``signing_key`` goes into allowed_signers: with it the peer, a node, may change its own file.
    """
    path = file_of(name)

    @cache
    def private(file: Path) -> str:
        return read_private_key(file) if edit.outside(file).exists() else generate()

    def added(copy: WorkingCopy) -> Change:
        if copy.has(path):
            change = in_copy(edit.directory, f"mesh-sync peer set {name} …")
            raise ConfigError(f"{path} exists already", hint=f"to change it: {change}")
        own = {"addresses": [str(address) for address in copy.mesh.free_addresses()], **values}
        if new_key:
            own["public_key"] = public_key(private(new_key))
        files: dict[str, str | None] = {path: made(own)}
        if signing_key:
            files[SIGNERS_FILE] = with_key(copy, f"{name}@node.{copy.mesh.name}", signing_key)
        return Change(files, f"{name}: joins the mesh", f"is written ({', '.join(own['addresses'])})")

    def keep_key() -> None:
        if new_key and not new_key.exists():
            write_output(new_key, private(new_key) + "\n")

    return edit.make(added, first=keep_key)


def is_committed(edit: Edit, name: str, public_key: str) -> bool:
    """Whether HEAD has a peer of this name with this key."""
    text = OwnGit(edit.directory).answers("show", f"HEAD:{file_of(name)}")
    peer = peer_at("a", (text or "").encode())
    return peer is not None and peer.public_key == public_key


def change(edit: Edit, name: str, values: Mapping[str, Value], unset: Sequence[str]) -> Edited:
    """Set and remove keys of a peer's file; everything else in it stays as it is."""
    path, copy = file_of(name), edit.open()
    before = text_of(copy, path)
    try:
        text = edited(before, values, unset)
    except MeshSyncError as error:
        raise MeshSyncError(f"{path} {error.message}", hint=error.hint) from None
    if text == before and not edit.commit:
        return Edited(f"{path} says so already")
    words = [f"{verb} {_listed(keys)}" for verb, keys in (("sets", tuple(values)), ("removes", unset)) if keys]
    return edit.finish(copy, {path: text}, f"{name}: {', '.join(words)}", "is changed")


def remove(edit: Edit, name: str) -> Edited:
    """Remove a peer's file, what is sealed to it, and its keys in allowed_signers, which could add it again.

    A file that cannot be read can be removed too.
    """
    path, sealed = file_of(name), sealed_path(name)

    def removed(copy: WorkingCopy) -> Change:
        if not copy.has(path):
            text_of(copy, path)
        files: dict[str, str | None] = {path: None}
        became = "is removed"
        if sealed in copy.tree.texts:
            files[sealed] = None
            became += f", and {sealed}"
        signing = copy.text(SIGNERS_FILE) or ""
        if keys := parse(signing.encode())[0].of(name, copy.mesh.name):
            files[SIGNERS_FILE] = without(signing, keys)
            became += f", and its {'key' if len(keys) == 1 else f'{len(keys)} keys'} in {SIGNERS_FILE}"
        allowed = [f"remove {name}", *(["empty-list"] if len(copy.mesh.peers.keys() - {name}) < 2 else [])]
        trailers = "\n".join(f"{TRAILER}: {what}" for what in allowed)
        return Change(files, f"{name}: leaves the mesh\n\n{trailers}", became)

    return edit.make(removed)


def file_of(name: str) -> str:
    """The file of a peer that is, or is to be, called so. Raise ConfigError when that is no name."""
    if not LABEL.fullmatch(name):
        raise ConfigError(f"{name!r} is not a peer name: a lower-case DNS label (a-z, 0-9, -, at most 63)")
    return peer_path(name)


def text_of(copy: WorkingCopy, path: str) -> str:
    """One peer's file. Raise ConfigError when there is none."""
    text = copy.text(path)
    if text is None:
        raise ConfigError(f"there is no {path}", hint=f"the mesh has: {copy.some_names}")
    return text


def _listed(keys: Sequence[str]) -> str:
    *most, last = keys
    return f"{', '.join(most)} and {last}" if most else last
