"""`mesh-sync import`: another tool's set-up becomes a mesh repository, new or grown."""

from __future__ import annotations

import importlib
import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import tomlkit
from attrs import evolve, field, frozen

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.mesh.layout import MESH_FILE, PEERS
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.peer_file import made
from mesh_sync.mesh.tree import Tree
from mesh_sync.system.files import write_atomically
from mesh_sync.wireguard.endpoint import Network
from mesh_sync.workspace import commits
from mesh_sync.workspace.import_.machine import Machine, Takeover
from mesh_sync.workspace.init import lay_down
from mesh_sync.workspace.working_copy import WorkingCopy, Written, examined, opened

SOURCES: Mapping[str, str] = {
    "wg-meshconf": "mesh_sync.workspace.import_.wg_meshconf",
    "wg-quick": "mesh_sync.workspace.import_.wg_quick",
    "wg-gen-web": "mesh_sync.workspace.import_.wg_gen_web",
}


@frozen(kw_only=True)
class Request:
    """What was asked for on the command line; named as its options are."""

    source: str
    path: Path
    directory: Path
    networks: tuple[str, ...] = ()
    keys: Path | None = None
    commit: bool = False


@frozen
class Imported:
    """What was made: the machines, how many private keys were kept, and what the check had to say."""

    machines: tuple[Machine, ...]
    new: bool
    kept_keys: int
    left_keys: int
    written: Written
    commit: str | None = field(default=None)


def take_over(request: Request, note: Callable[[str], None]) -> Imported:
    """Read the source, check what would come of it, then write; ``note`` gets a line for all that is left behind.

    Raise ConfigError for a source or directory that cannot be used, MeshSyncError when the list would have errors.
    Nothing is written then.
    """
    new = not os.path.lexists(request.directory / MESH_FILE)
    if new and request.directory.is_dir() and any(request.directory.iterdir()):
        text = f"{request.directory.absolute()} is neither empty nor a mesh repository"
        raise ConfigError(text, hint="name a new directory")
    if request.keys and request.keys.resolve().is_relative_to(request.directory.resolve()):
        raise ConfigError(f"--keys: {request.keys} is inside the mesh repository", hint="keep private keys elsewhere")
    if not new and request.commit:
        commits.require(request.directory)
    present = None if new else opened(request.directory)
    takeover = _read(request, present.mesh if present else None)
    for line in dict.fromkeys(takeover.notes):
        note(line)
    repository = present or _imagined(request, takeover.networks)
    machines = tuple(_new(takeover.machines, repository.mesh, note))
    files = {f"{PEERS}{one.name}.toml": made(one.values(repository.mesh.listen_port)) for one in machines}
    _verify(repository, files, new)
    kept = _keep_keys(_keys(takeover.machines, repository.mesh), request.keys)
    if new:
        lay_down(request.directory, repository.mesh.name, tuple(map(str, takeover.networks)))
        repository = opened(request.directory)
    written = repository.write(files)
    left = 0 if request.keys else sum(bool(one.private_key) for one in machines)
    imported = Imported(machines, new, kept, left, written)
    if request.commit and files and not written.errors:
        message = f"mesh: takes over {len(machines)} peers from {request.source}"
        return evolve(imported, commit=commits.commit_files(request.directory, tuple(files), message))
    return imported


def _read(request: Request, mesh: Mesh | None) -> Takeover:
    try:
        asked = tuple(ipaddress.ip_network(text) for text in request.networks)
    except ValueError as error:
        raise ConfigError(f"--network: {error}") from None
    if mesh and asked:
        raise ConfigError("--network is for a new mesh; this one has its networks in mesh.toml")
    networks: tuple[Network, ...] = mesh.networks if mesh else asked
    takeover: Takeover = importlib.import_module(SOURCES[request.source]).read(request.path, networks)
    if not takeover.machines:
        raise MeshSyncError(
            f"{request.path} has nothing that could be taken over:\n" + "\n".join(dict.fromkeys(takeover.notes))
        )
    return takeover


def _imagined(request: Request, networks: tuple[Network, ...]) -> WorkingCopy:
    """The repository that `lay_down` would make, not on disk yet."""
    name = request.directory.resolve().name
    text = tomlkit.dumps({"format": 1, "name": name, "networks": list(map(str, networks))})
    return examined(request.directory, Tree({MESH_FILE: text.encode()}), datetime.now(UTC))


def _new(machines: Sequence[Machine], mesh: Mesh, note: Callable[[str], None]) -> list[Machine]:
    """Those that the mesh does not have yet. Raise MeshSyncError when one's name is another's there."""
    known: dict[str, str] = {peer.public_key: name for name, peer in mesh.peers.items()}
    for machine in machines:
        if machine.public_key in known:
            note(f"{machine.name}: is in the mesh already, as {known[machine.public_key]}: left as it is there")
        elif machine.name in mesh.peers:
            text = f"the mesh has another peer that is called {machine.name}"
            raise MeshSyncError(text, hint="rename one of them first; nothing was written")
    return [machine for machine in machines if machine.public_key not in known]


def _verify(repository: WorkingCopy, files: Mapping[str, str], new: bool) -> None:
    try:
        repository.verify(files)
    except MeshSyncError as error:
        where = "--network CIDR" if new else "`networks` in mesh.toml"
        hint = f"{where} says which addresses are the mesh's own; else change the source, and import again"
        raise MeshSyncError(error.message, hint=hint) from None


def _keys(machines: Sequence[Machine], mesh: Mesh) -> dict[str, str]:
    """The private keys by the names that their owners have in the mesh."""
    known: dict[str, str] = {peer.public_key: name for name, peer in mesh.peers.items()}
    return {known.get(one.public_key, one.name): one.private_key for one in machines if one.private_key}


def _keep_keys(keys: Mapping[str, str], folder: Path | None) -> int:
    """Write each private key to FOLDER/N.key, 0600. Raise ConfigError rather than replace another key."""
    if folder is None:
        return 0
    files = {folder / f"{name}.key": key for name, key in keys.items()}
    for file, key in files.items():
        if os.path.lexists(file) and (not file.is_file() or file.read_bytes().strip() != key.encode()):
            raise ConfigError(f"{file} is there already, with another content", hint="name another --keys KEYDIR")
    for file, key in files.items():
        write_atomically(file, key + "\n")
    return len(files)
