"""`mesh-sync peer rename`: a peer's file, and every mention of it in the list, under another name.

No tunnel changes: nodes know a peer by its key, and where pairs go by names, they go on with the former one
(`original_name`). So it is nothing that the guard would stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.mesh.edit_toml import edited
from mesh_sync.mesh.layout import SIGNERS_FILE, is_peer_file, peer_path, sealed_path
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.rename_toml import mentions
from mesh_sync.preshared import sealed
from mesh_sync.trust import signers
from mesh_sync.trust.signers import parse
from mesh_sync.typed_toml.table import Wrong
from mesh_sync.workspace.edit import Change, Edit, Edited
from mesh_sync.workspace.edit_peer import file_of, text_of
from mesh_sync.workspace.typed import in_copy
from mesh_sync.workspace.working_copy import WorkingCopy


def rename(edit: Edit, old: str, new: str) -> Edited:
    """Give a peer another name. Raise ConfigError when there is no such peer, or the new name is taken."""
    before, after = file_of(old), file_of(new)
    if old == new:
        raise ConfigError(f"{old} has that name already", hint="nothing was written")

    def renamed(copy: WorkingCopy) -> Change:
        text = text_of(copy, before)
        if copy.has(after):
            raise ConfigError(f"{after} exists already", hint="a peer gets a name that no other one has")
        files = {after: _own_file(copy.mesh, text, old, new), before: None}
        files |= dict(_sealed(copy, old, new))
        files |= dict(_signers(copy, old, new))
        also = dict(_mentions(copy, old, new))
        changed = [*also, *(path for path in files if path == SIGNERS_FILE)]
        became = f"is what {before} was" + (f"; changed with it: {', '.join(sorted(changed))}" if changed else "")
        return Change({**files, **also}, f"{old}: is renamed to {new}", became)

    return edit.make(renamed)


def keeps_original_name(edit: Edit, name: str) -> bool:
    """Whether the file of a peer says what it was called first."""
    found = edit.open().mesh.peers.get(name)
    return found is not None and found.original_name is not None


def _own_file(mesh: Mesh, text: str, old: str, new: str) -> str:
    """The peer's file, which says what it was called first if any pair goes by that."""
    peer = mesh.peers.get(old)
    first = peer.original_name if peer else None
    by_name = mesh.preshared is not None or any(one.relay for one in mesh.peers.values())
    if first == new:
        return edited(text, {}, ("original_name",))
    return edited(text, {"original_name": old}) if by_name and first is None else text


def _sealed(copy: WorkingCopy, old: str, new: str) -> Iterator[tuple[str, str | None]]:
    """The mesh secrets that are sealed to it: to its key, which stays."""
    if text := copy.text(sealed_path(old)):
        with suppress(Wrong):
            text = sealed.written(new, sealed.read(text.encode()))
        yield sealed_path(new), text
        yield sealed_path(old), None


def _signers(copy: WorkingCopy, old: str, new: str) -> Iterator[tuple[str, str]]:
    """The keys with which it may change its own file. A key that waits for the new name would get its rights, too."""
    text = copy.text(SIGNERS_FILE) or ""
    listed, mesh = parse(text.encode())[0], copy.mesh.name
    if listed.of(new, mesh):
        hint = f"to take them out: {in_copy(copy.directory, f'mesh-sync signer remove {new}@node.{mesh}')}"
        raise ConfigError(f"{SIGNERS_FILE} has keys of {new}@node.{mesh} already", hint=hint)
    if keys := listed.of(old, mesh):
        yield SIGNERS_FILE, signers.renamed(text, keys, f"{new}@node.{mesh}")


def _mentions(copy: WorkingCopy, old: str, new: str) -> Iterator[tuple[str, str]]:
    """The other files that name it, as they are then."""
    is_tag = any(old in peer.tags for peer in copy.mesh.peers.values())
    for path in copy.tree.texts:
        change = mentions(path, is_tag=is_tag) if path != peer_path(old) else None
        if change is None or old.encode() not in copy.tree.texts[path]:
            continue
        try:
            before = copy.text(path) or ""
            after = change(before, old, new)
        except MeshSyncError as error:
            if is_peer_file(path):  # it is broken, and `check` says so
                continue
            raise MeshSyncError(f"{path} {error.message}", hint=error.hint) from None
        if after != before:
            yield path, after
