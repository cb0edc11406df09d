"""`mesh-sync peer add|set|remove`: one peer's file in a mesh repository, edited, checked, written, committed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from mesh_sync import commits
from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.files import write_atomically
from mesh_sync.join import free_addresses
from mesh_sync.keys import generate, public_key, read_private_key
from mesh_sync.manifest import PEERS
from mesh_sync.model import LABEL
from mesh_sync.peer_file import Value, edited, made
from mesh_sync.working_copy import WorkingCopy, Written, opened


@frozen
class Done:
    """What was written and committed. ``written`` is None when the file said all of it already."""

    message: str
    became: str = ""
    """What happened to the file, in words that follow its path."""
    written: Written | None = None
    commit: str | None = None


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

    def finish(self, repository: WorkingCopy, text: str | None, message: str, became: str) -> Done:
        """Check, write, and commit unless errors from before are left."""
        written = repository.write({self.path: text})
        done = Done(message, became, written)
        if self.commit and not written.errors:
            return evolve(done, commit=commits.commit(self.directory, written.paths, message))
        return done


def add(place: Place, values: Mapping[str, Any], new_key: Path | None = None) -> Done:
    """Add a peer; without addresses it gets a free one of each network. ``new_key`` takes its new private key."""
    repository = place.open()
    if os.path.lexists(place.directory / place.path):
        hint = f"`mesh-sync peer set {place.name}` changes it"
        raise ConfigError(f"{place.path} is there already", hint=hint)
    private = _private_key(new_key, place.directory) if new_key else ""
    values = {"addresses": [str(address) for address in free_addresses(repository.mesh)], **values}
    if private:
        values["public_key"] = public_key(private)
    text = made(values)
    if new_key and not new_key.exists():
        repository.verify({place.path: text})
        write_atomically(new_key, private + "\n")
    became = f"is written ({', '.join(values['addresses'])})"
    return place.finish(repository, text, f"{place.name}: joins the mesh", became)


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
    return place.finish(repository, text, f"{place.name}: {', '.join(words)}", "is changed")


def remove(place: Place) -> Done:
    """Take a peer out of the list. A file that cannot be read can be removed too."""
    repository = place.open()
    if not os.path.lexists(place.directory / place.path):
        _present(repository, place)
    return place.finish(repository, None, f"{place.name}: leaves the mesh", "is removed")


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
