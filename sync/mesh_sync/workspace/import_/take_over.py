"""`mesh-sync import`: another tool's setup becomes a mesh repository, or part of one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import tomlkit
from attrs import evolve, frozen

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.mesh.edit_toml import made
from mesh_sync.mesh.layout import MESH_FILE, peer_path
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.tree import Tree
from mesh_sync.wireguard.endpoint import Network
from mesh_sync.workspace.edit import Edit, Edited
from mesh_sync.workspace.import_ import name_map, wg_gen_web, wg_meshconf, wg_quick
from mesh_sync.workspace.import_.machine import NO_RENAMES, Machine, Takeover
from mesh_sync.workspace.init import create, name_of, parse_networks
from mesh_sync.workspace.output import make_output_folder, write_output
from mesh_sync.workspace.working_copy import WorkingCopy

SOURCES: Mapping[str, Callable[[Path, tuple[Network, ...], Mapping[str, str]], Takeover]] = {
    "wg-meshconf": wg_meshconf.read,
    "wg-quick": wg_quick.read,
    "wg-gen-web": wg_gen_web.read,
}


@frozen(kw_only=True)
class Request:
    """What is asked for: the kind of source and where it is.

    ``networks``: the mesh's, for a new one; ``keys``: the folder for private keys; ``names``: a file of new names by
    old ones; with ``dry_run`` everything is checked and nothing written.
    """

    source: str
    path: Path
    networks: Sequence[str] = ()
    keys: Path | None = None
    names: Path | None = None
    dry_run: bool = False


@frozen
class Imported:
    """What was imported: the new machines, how many private keys were kept and left out, and the edit.

    ``to_mend``: what of their files a person has to mend, a line each.
    """

    machines: tuple[Machine, ...]
    new: bool
    kept_keys: int
    left_keys: int
    edited: Edited
    to_mend: tuple[str, ...]

    @property
    def cut_off(self) -> tuple[str, ...]:
        """The clients that lose their tunnel when their hub is moved: it has a preshared key that the hub forgets."""
        clients = (one for one in self.machines if one.preshared and not one.managed and one.enabled)
        return tuple(one.name for one in clients)


def take_over(edit: Edit, request: Request, note: Callable[[str], None]) -> Imported:
    """Read the source, check what it would become, then write; ``note`` gets a line for everything left out.

    Raise ConfigError for a source or directory that cannot be used, MeshSyncError when the list would have errors.
    Nothing is written then; nor is anything committed that a person has to mend first.
    """
    directory = edit.directory
    new = not os.path.lexists(directory / MESH_FILE)
    if new and directory.is_dir() and any(directory.iterdir()):
        raise ConfigError(f"{directory.absolute()} is neither empty nor a mesh repository", hint="name a new directory")
    if request.keys:
        edit.outside(request.keys)
    present = None if new else edit.open()
    takeover = _read(request, present.mesh if present else None)
    for line in dict.fromkeys(takeover.notes):
        note(line)
    if present:
        copy = present
    else:  # as `create` will create it
        declared = {"format": 1, "name": name_of(directory), "networks": list(map(str, takeover.networks))}
        tree = Tree({MESH_FILE: tomlkit.dumps(declared).encode()})
        copy = WorkingCopy.of(directory, tree, datetime.now(UTC))
    known: dict[str, str] = {peer.public_key: name for name, peer in copy.mesh.peers.items()}
    machines = tuple(_new(takeover.machines, copy.mesh, known, note))
    files = {peer_path(one.name): made(one.values(copy.mesh.listen_port)) + one.comments for one in machines}
    to_mend = tuple(f"{peer_path(one.name)}: endpoint {why}" for one in machines for _, why in one.endpoints.to_mend)
    try:
        copy.verify(files)
    except MeshSyncError as error:
        where = "--network CIDR" if new else "`networks` in mesh.toml"
        hint = f"{where} says which addresses are the mesh's own; or change the source, then import again"
        raise MeshSyncError(error.message, hint=hint) from None
    message = f"mesh: imports {len(machines)} peers from {request.source}"
    if request.dry_run:
        return Imported(machines, new, 0, 0, Edited(message), to_mend)
    found = {known.get(one.public_key, one.name): one.private_key for one in takeover.machines if one.private_key}
    kept = _keep_keys(found, request.keys)
    if new:
        create(directory, copy.mesh.name, tuple(map(str, takeover.networks)))
        copy = edit.open()
    left = 0 if request.keys else sum(bool(one.private_key) for one in machines)
    if to_mend:
        edit = evolve(edit, commit=False)
    return Imported(machines, new, kept, left, edit.finish(copy, files, message, "is written"), to_mend)


def _read(request: Request, mesh: Mesh | None) -> Takeover:
    asked = parse_networks(request.networks)
    renames = name_map.read(request.names) if request.names else NO_RENAMES
    if mesh and asked:
        raise ConfigError("--network is for a new mesh; this one has its networks in mesh.toml")
    takeover = SOURCES[request.source](request.path, mesh.networks if mesh else asked, renames)
    if not takeover.machines:
        raise MeshSyncError(f"{request.path} has nothing to import:\n" + "\n".join(dict.fromkeys(takeover.notes)))
    name_map.verify(renames, takeover.machines)
    return takeover


def _new(
    machines: Sequence[Machine], mesh: Mesh, known: Mapping[str, str], note: Callable[[str], None]
) -> list[Machine]:
    """The machines that the mesh does not have yet. Raise MeshSyncError when a name is taken."""
    for machine in machines:
        if machine.public_key in known:
            note(f"{machine.name}: already in the mesh as {known[machine.public_key]}: left unchanged")
        elif machine.name in mesh.peers:
            text = f"the mesh has another peer named {machine.name}"
            raise MeshSyncError(text, hint="nothing was written; --name-map FILE gives the new one another name")
    return [machine for machine in machines if machine.public_key not in known]


def _keep_keys(keys: Mapping[str, str], folder: Path | None) -> int:
    """Write each private key, by peer, to FOLDER/N.key (0600). Raise ConfigError rather than replace another key."""
    if folder is None:
        return 0
    files = {folder / f"{name}.key": key for name, key in keys.items()}
    for file, key in files.items():
        if os.path.lexists(file) and (not file.is_file() or file.read_bytes().strip() != key.encode()):
            raise ConfigError(f"{file} exists already and holds something else", hint="name another --keys KEYDIR")
    make_output_folder(folder)
    for file, key in files.items():
        write_output(file, key + "\n")
    return len(files)
