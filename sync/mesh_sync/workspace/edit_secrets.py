"""`mesh-sync secret`: the mesh secret in a mesh repository made, rotated, retired, sealed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from attrs import evolve

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.mesh import manifest
from mesh_sync.mesh.edit_toml import with_preshared
from mesh_sync.mesh.layout import MESH_FILE, SECRETS, is_secret_file, peer_path
from mesh_sync.mesh.model import NO_SECRET, Preshared
from mesh_sync.mesh.tree import some_files
from mesh_sync.preshared import derive, secret_file
from mesh_sync.preshared.derive import SIZE, Secrets
from mesh_sync.terminal.say import count
from mesh_sync.typed_toml.fields import LABEL
from mesh_sync.wireguard.keys import read_private_key
from mesh_sync.wireguard.psk_rollover import MOVING
from mesh_sync.workspace import sealed_files
from mesh_sync.workspace.edit import Edit, Edited
from mesh_sync.workspace.output import write_output
from mesh_sync.workspace.typed import in_copy
from mesh_sync.workspace.working_copy import WorkingCopy

AHEAD = timedelta(minutes=5)
"""From a change until pairs start to move: time to push, and for every node to pull."""
MOVED = timedelta(seconds=MOVING)
"""From that moment until all pairs have moved."""


def new(edit: Edit, file: Path, since: datetime | None = None, *, sealing: bool = True) -> Edited:
    """A first secret: into ``file``, and sealed to every managed peer unless it is handed out in files."""
    copy = _opened(edit)
    if use := copy.mesh.preshared:
        text = f"the mesh already derives its preshared keys from secret {use.secret}"
        raise ConfigError(
            text, hint=f"to change it: {in_copy(edit.directory, 'mesh-sync secret rotate --secret-file F')}"
        )
    present = secret_file.load(file) if os.path.lexists(edit.outside(file)) else Secrets()
    return _begin(edit, copy, file, present, NO_SECRET, since, sealing=sealing)


def rotate(edit: Edit, file: Path, since: datetime | None = None) -> Edited:
    """A new secret; the former one works until `retire`."""
    copy = _opened(edit)
    use, present = _to_rotate(edit, copy, file)
    sealing = any(map(is_secret_file, copy.tree.texts))
    return _begin(edit, copy, file, present, use.secret, since, sealing=sealing)


def _opened(edit: Edit) -> WorkingCopy:
    """The working copy. Raise ConfigError if a commit of the next change would also have one that was not committed."""
    copy = edit.open()
    before = now = copy.mesh.preshared
    if edit.commit:
        with suppress(MeshSyncError):
            before = edit.head(copy).mesh.preshared
    if before != now:
        text = f"the last change is not committed yet: {in_words(now)}"
        sealed = [SECRETS] if any(map(is_secret_file, copy.tree.texts)) else []
        raise ConfigError(text, hint=edit.how_to_commit(MESH_FILE, *sealed))
    return copy


def raise_unless_it_rotates(edit: Edit, file: Path) -> None:
    """Raise ConfigError where `rotate` would: before what comes first is done."""
    _to_rotate(edit, _opened(edit), file)


def _to_rotate(edit: Edit, copy: WorkingCopy, file: Path) -> tuple[Preshared, Secrets]:
    """What is in use, and the secrets in ``file``, which have it."""
    use = _in_use(copy, settled=True)
    present = secret_file.load(edit.outside(file))
    if use.secret not in present:
        raise ConfigError(f"{file} does not have secret {use.secret}, the one in use: it belongs to another mesh")
    return use, present


def _begin(
    edit: Edit, copy: WorkingCopy, file: Path, present: Secrets, former: int, since: datetime | None, *, sealing: bool
) -> Edited:
    """Save a new secret in ``file`` before anything else refers to it, then move the mesh to it."""
    number = max([*present.by_id, former]) + 1
    secrets = Secrets({**present.by_id, number: os.urandom(SIZE)})
    write_output(file, derive.text(secrets))
    use = Preshared(secret=number, former=former, since=since or _soon(copy))
    message = f"mesh: preshared keys move to secret {number}"
    return _finish(edit, copy, use, secrets, message, f"nodes move to secret {number} from {use.since}", sealing)


def off(edit: Edit, since: datetime | None = None) -> Edited:
    """Back to no preshared keys; the secret works until `retire`."""
    copy = _opened(edit)
    use = Preshared(secret=NO_SECRET, former=_in_use(copy, settled=True).secret, since=since or _soon(copy))
    says = f"nodes stop using preshared keys from {use.since}"
    return _finish(edit, copy, use, Secrets(), "mesh: stops using preshared keys", says)


def retire(edit: Edit, *, force: bool = False) -> Edited:
    """The end of a move: what was in use before it no longer works.

    Raise MeshSyncError (1) while pairs are still moving, unless ``force``.
    """
    copy = _opened(edit)
    use = _in_use(copy)
    if use.former is None:
        return Edited("there is no former secret")
    if use.since and copy.moment < use.since + MOVED and not force:
        text = f"pairs that have not moved yet would lose their tunnels; nodes move from {use.since}"
        hint = f"retire it after {use.since + MOVED}, when every node has pulled; --force does not wait"
        raise MeshSyncError(text, hint=hint)
    after = Preshared(secret=use.secret) if use.secret else None
    what = f"secret {use.former}" if use.former else "going without preshared keys"
    return _finish(edit, copy, after, Secrets(), f"mesh: {what} is retired", f"{what} is retired")


def seal_missing(edit: Edit, file: Path | None, private_key_file: Path | None = None) -> Edited:
    """Seal the secrets in use to every managed peer that lacks them, such as a new one.

    They come from the operator's ``file``, or are those that a node's private key opens.
    """
    copy = edit.open()
    use, secrets = _to_seal(edit, copy, file, private_key_file)
    return _finish(edit, copy, use, secrets, f"mesh: secret {use.secret} is sealed to peers that lacked it")


def raise_unless_it_seals(edit: Edit, file: Path) -> None:
    """Raise ConfigError where `seal_missing` would: before what comes first is done."""
    _to_seal(edit, edit.open(), file, None)


def _to_seal(
    edit: Edit, copy: WorkingCopy, file: Path | None, private_key_file: Path | None
) -> tuple[Preshared, Secrets]:
    """What is in use, and the secrets at hand, which have it."""
    secrets, use = _at_hand(edit, file, private_key_file), _in_use(copy)
    if use.secret not in secrets:
        raise ConfigError(f"secret {use.secret}, the one in use, is not in it", hint="use another --secret-file")
    return use, secrets


def copy_out(edit: Edit, output: Path, file: Path | None, private_key_file: Path | None) -> int:
    """Write the secrets to ``output`` (0600), to carry to a node by hand; return how many."""
    secrets = _at_hand(edit, file, private_key_file)
    write_output(edit.outside(output), derive.text(secrets))
    return len(secrets.by_id)


def shares_secret(edit: Edit, name: str) -> bool:
    """Whether a peer is to have the mesh secret: there is one, and the peer runs mesh-sync as far as its file says."""
    if not LABEL.fullmatch(name):
        return False
    mesh, _ = manifest.read(some_files(edit.directory, (MESH_FILE, peer_path(name))).texts)
    found = mesh.peers.get(name) if mesh else None
    return mesh is not None and mesh.preshared is not None and (found is None or found.managed)


def in_words(use: Preshared | None) -> str:
    """Which secret is in use, in a sentence."""
    if use is None:
        return "no preshared keys"
    current = f"preshared keys come from secret {use.secret}" if use.secret else "preshared keys are being abandoned"
    if use.former is None:
        return current
    before = f"secret {use.former}" if use.former else "going without"
    return f"{current}; {before} works too until it is retired; nodes move from {use.since}"


def _finish(
    edit: Edit, copy: WorkingCopy, use: Preshared | None, secrets: Secrets, message: str, says: str = "",
    sealing: bool = True,
) -> Edited:  # fmt: skip
    """Write mesh.toml, which then ``says`` so, and the sealed secrets."""
    files: dict[str, str | None] = {MESH_FILE: with_preshared(copy.text(MESH_FILE) or "", use)}
    files |= sealed_files.changed(copy, use, secrets, everyone=sealing)
    present = copy.tree.texts
    files = {path: text for path, text in files.items() if present.get(path) != (text and text.encode())}
    if not files:
        return Edited(message)
    sealed = f"{count(sum(map(is_secret_file, files)), 'file')} in secrets/ changed"
    became = f"says that {says}, {sealed}" if MESH_FILE in files else f"is changed, {sealed}"
    edited = edit.finish(copy, files, message, became)
    return evolve(edited, notes=(*edited.notes, *_to_export(copy, use))) if MESH_FILE in files else edited


def _to_export(copy: WorkingCopy, use: Preshared | None) -> Iterator[str]:
    """A line for peers that take up no key by themselves, if there are any."""
    peers = copy.mesh.peers.values()
    if not (names := ", ".join(sorted(peer.name for peer in peers if not peer.managed and peer.active(copy.moment)))):
        return
    if use is None or use.former is None:
        lost = "what was exported before the last change no longer connects"
        yield f"{lost}; where that is not done, export again: {names}"
    else:
        has = "the former preshared key" if use.former else "no preshared key"
        yield f"to be exported again before `mesh-sync secret retire`, they have {has} until then: {names}"


def _at_hand(edit: Edit, file: Path | None, private_key_file: Path | None) -> Secrets:
    if file:
        return secret_file.load(edit.outside(file))
    if private_key_file is None:
        raise ConfigError("which secret?", hint="give --secret-file F, or a node's --private-key-file F")
    found = sealed_files.open_with(edit.open(), read_private_key(private_key_file))
    if not found.by_id:
        raise ConfigError(f"nothing in {edit.directory} is sealed to the key in {private_key_file}")
    return found


def _in_use(copy: WorkingCopy, *, settled: bool = False) -> Preshared:
    """What the mesh uses. Raise ConfigError when that is nothing, or is to be ``settled`` and still moves."""
    use = copy.mesh.preshared
    if use is None:
        raise ConfigError(
            "the mesh has no preshared keys",
            hint=f"to begin: {in_copy(copy.directory, 'mesh-sync secret new --secret-file F')}",
        )
    if settled and use.former is not None:
        hint = f"once every node has it: {in_copy(copy.directory, 'mesh-sync secret retire')}"
        raise ConfigError(f"the mesh is still moving: {in_words(use)}", hint=hint)
    return use


def _soon(copy: WorkingCopy) -> datetime:
    return (copy.moment + AHEAD).replace(microsecond=0)
