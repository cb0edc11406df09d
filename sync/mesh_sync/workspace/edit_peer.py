"""`mesh-sync peer add|set|remove`: one peer's file in a mesh repository, edited, checked, written, committed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.mesh.addresses import free_addresses
from mesh_sync.mesh.layout import PEERS, SIGNERS_FILE
from mesh_sync.mesh.peer_file import Value, edited, made
from mesh_sync.system.files import write_atomically
from mesh_sync.trust.guard import TRAILER
from mesh_sync.typed_toml.fields import LABEL
from mesh_sync.wireguard.keys import generate, public_key, read_private_key
from mesh_sync.workspace import commits
from mesh_sync.workspace.commits import Done, finish
from mesh_sync.workspace.edit_signers import keys_of, with_key, without_keys
from mesh_sync.workspace.working_copy import WorkingCopy, opened


@frozen
class Place:
    """A peer's file in a working copy, and whether a change to it is committed too."""

    directory: Path
    name: str
    commit: bool = False

    @property
    def path(self) -> str:
        return f"{PEERS}{self.name}.toml"

    def open(self) -> WorkingCopy:
        """Read the repository. Raise ConfigError for what cannot be a peer's name or cannot be committed."""
        if not LABEL.fullmatch(self.name):
            raise ConfigError(f"{self.name!r} is not a peer name: a lower-case DNS label (a-z, 0-9, -, at most 63)")
        if self.commit:
            commits.require(self.directory)
        return opened(self.directory)


def add(place: Place, values: Mapping[str, Any], new_key: Path | None = None, signing_key: str = "") -> Done:
    """Add a peer; without addresses it gets a free one of each network. ``new_key`` takes its new private key.

    ``signing_key`` goes into allowed_signers: with it the peer, a node, may change its own file.
    """
    repository = place.open()
    if os.path.lexists(place.directory / place.path):
        hint = f"`mesh-sync peer set {place.name}` changes it"
        raise ConfigError(f"{place.path} is there already", hint=hint)
    private = _private_key(new_key, place.directory) if new_key else ""
    values = {"addresses": [str(address) for address in free_addresses(repository.mesh)], **values}
    if private:
        values["public_key"] = public_key(private)
    files: dict[str, str | None] = {place.path: made(values)}
    if signing_key:
        files[SIGNERS_FILE] = with_key(repository, f"{place.name}@node.{repository.mesh.name}", signing_key)
    if new_key and not new_key.exists():
        repository.verify(files)
        write_atomically(new_key, private + "\n")
    became = f"is written ({', '.join(values['addresses'])})"
    return finish(repository, files, f"{place.name}: joins the mesh", became, commit=place.commit)


def change(place: Place, values: Mapping[str, Value], unset: Sequence[str]) -> Done:
    """Set and take out keys of a peer's file; everything else in it stays as it is."""
    repository = place.open()
    before = _present(repository, place)
    try:
        text = edited(before, values, unset)
    except MeshSyncError as error:
        raise MeshSyncError(f"{place.path} {error.message}", hint=error.hint) from None
    if text == before and not place.commit:
        return Done(f"{place.path} says so already")
    words = [f"{verb} {_listed(keys)}" for verb, keys in (("sets", tuple(values)), ("takes out", unset)) if keys]
    message = f"{place.name}: {', '.join(words)}"
    return finish(repository, {place.path: text}, message, "is changed", commit=place.commit)


def remove(place: Place) -> Done:
    """Take a peer out of the list, and its keys out of allowed_signers, or it could add itself again.

    A file that cannot be read can be removed too.
    """
    repository = place.open()
    if not os.path.lexists(place.directory / place.path):
        _present(repository, place)
    files: dict[str, str | None] = {place.path: None}
    became = "is removed"
    if keys := keys_of(repository, place.name):
        files[SIGNERS_FILE] = without_keys(repository, keys)
        became += f"; {SIGNERS_FILE} has its {'key' if len(keys) == 1 else f'{len(keys)} keys'} no more"
    message = f"{place.name}: leaves the mesh\n\n{_meant(repository, place.name)}"
    return finish(repository, files, message, became, commit=place.commit)


def _meant(repository: WorkingCopy, name: str) -> str:
    """The trailers without which nodes would take the removal of ``name`` for a slip."""
    empty = len(repository.mesh.peers.keys() - {name}) < 2
    return "\n".join(f"{TRAILER}: {what}" for what in (f"remove {name}", *(["empty-list"] if empty else [])))


def _present(repository: WorkingCopy, place: Place) -> str:
    text = repository.text(place.path)
    if text is None:
        names = ", ".join(sorted(repository.mesh.peers)[:20]) or "no peers yet"
        raise ConfigError(f"there is no {place.path}", hint=f"the mesh has: {names}")
    return text


def _private_key(file: Path, directory: Path) -> str:
    """The key in ``file``, or a new one for it. A private key does not belong into the repository."""
    if file.resolve().is_relative_to(directory.resolve()):
        raise ConfigError(f"{file} is inside the mesh repository", hint="keep private keys elsewhere")
    return read_private_key(file) if file.exists() else generate()


def _listed(keys: Sequence[str]) -> str:
    *most, last = keys
    return f"{', '.join(most)} and {last}" if most else last
