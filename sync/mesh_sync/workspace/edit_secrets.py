"""`mesh-sync secret`: the mesh secret in a mesh repository made, rotated, retired, sealed; written and committed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.mesh.layout import MESH_FILE, is_secret_file, peer_name, sealed_path
from mesh_sync.mesh.mesh_file import with_preshared
from mesh_sync.mesh.model import NO_SECRET, Peer, Preshared
from mesh_sync.preshared import secret_file
from mesh_sync.preshared.derive import SIZE, Secrets
from mesh_sync.preshared.sealed import Sealed, opened, read, seal, written
from mesh_sync.typed_toml.table import Wrong
from mesh_sync.wireguard.keys import public_key, read_private_key
from mesh_sync.workspace import commits
from mesh_sync.workspace.commits import Done, finish
from mesh_sync.workspace.secret_view import in_words
from mesh_sync.workspace.working_copy import WorkingCopy
from mesh_sync.workspace.working_copy import opened as opened_copy

AHEAD = timedelta(minutes=5)
"""From now until pairs begin to move: time to push, and for every node to pull."""
MOVING = timedelta(minutes=6)
"""From that moment until all pairs have moved: a session's life, 5 minutes at most, and a minute between two runs."""


@frozen
class Place:
    """A mesh repository's working copy, and whether a change to it is committed too."""

    directory: Path
    commit: bool = False

    def open(self) -> WorkingCopy:
        """Read the repository. Raise ConfigError when it is none, or nothing can be committed."""
        if self.commit:
            commits.require(self.directory)
        return opened_copy(self.directory)

    def finish(
        self, repository: WorkingCopy, use: Preshared | None, secrets: Secrets, words: tuple[str, str], *,
        sealing: bool = True,
    ) -> Done:  # fmt: skip
        """Write mesh.toml and the sealed secrets, and commit them. ``words``: the message, what mesh.toml says now."""
        message, says = words
        files: dict[str, str | None] = {MESH_FILE: with_preshared(repository.text(MESH_FILE) or "", use)}
        files |= sealed_files(repository, use, secrets, everyone=sealing)
        files = {path: text for path, text in files.items() if text != _present(repository, path)}
        if not files:
            return Done(message)
        number = sum(map(is_secret_file, files))
        sealed = f"{number} file" + "s" * (number != 1) + " in secrets/ changed"
        became = f"says that {says}, {sealed}" if MESH_FILE in files else f"is changed, {sealed}"
        return finish(repository, files, message, became, commit=self.commit)

    def outside(self, file: Path) -> Path:
        """A file for secrets, which do not belong into the repository. Raise ConfigError if it is in there."""
        if file.resolve().is_relative_to(self.directory.resolve()):
            raise ConfigError(f"{file} is inside the mesh repository", hint="keep secrets elsewhere")
        return file


def new(place: Place, file: Path, since: datetime | None = None, *, sealing: bool = True) -> Done:
    """A first secret: into ``file``, and sealed to every managed peer unless it is handed out in files."""
    repository = place.open()
    if use := repository.mesh.preshared:
        text = f"the mesh derives its preshared keys already, from secret {use.secret}"
        raise ConfigError(text, hint="`mesh-sync secret rotate` changes it")
    present = secret_file.load(file) if os.path.lexists(place.outside(file)) else Secrets()
    return _begin(place, repository, file, present, NO_SECRET, since, sealing=sealing)


def rotate(place: Place, file: Path, since: datetime | None = None) -> Done:
    """Another secret; the former one stays good until `retire`."""
    repository = place.open()
    use = _settled(repository)
    present = secret_file.load(place.outside(file))
    if use.secret not in present:
        raise ConfigError(f"{file} does not have secret {use.secret}, the one in use: it belongs to another mesh")
    sealing = any(map(is_secret_file, repository.tree.texts))
    return _begin(place, repository, file, present, use.secret, since, sealing=sealing)


def _begin(
    place: Place, repository: WorkingCopy, file: Path, present: Secrets, former: int, since: datetime | None,
    *, sealing: bool,
) -> Done:  # fmt: skip
    """Keep a new secret in ``file`` before anything else knows of it, then move the mesh to it."""
    number = max([*present.by_id, former]) + 1
    secrets = Secrets({**present.by_id, number: os.urandom(SIZE)})
    secret_file.save(file, secrets)
    use = Preshared(secret=number, former=former, since=since or _soon(repository))
    words = f"mesh: preshared keys move to secret {number}", f"nodes move to secret {number} from {use.since}"
    return place.finish(repository, use, secrets, words, sealing=sealing)


def off(place: Place, since: datetime | None = None) -> Done:
    """Back to no preshared keys; the secret stays good until `retire`."""
    repository = place.open()
    former = _settled(repository).secret
    use = Preshared(secret=NO_SECRET, former=former, since=since or _soon(repository))
    words = "mesh: preshared keys are given up", f"nodes give up preshared keys from {use.since}"
    return place.finish(repository, use, Secrets(), words)


def retire(place: Place, *, force: bool = False) -> Done:
    """The end of a move: what was in use before it is no good any more.

    Raise MeshSyncError (1) while pairs are still moving, unless ``force``.
    """
    repository = place.open()
    use = _in_use(repository)
    if use.former is None:
        return Done("there is no former secret")
    if use.since and repository.moment < use.since + MOVING and not force:
        text = f"pairs that have not moved yet would lose their tunnels; nodes move from {use.since}"
        hint = f"retire it after {use.since + MOVING}, when every node has pulled; --force does not wait"
        raise MeshSyncError(text, hint=hint)
    after = Preshared(secret=use.secret) if use.secret else None
    what = f"secret {use.former}" if use.former else "going without preshared keys"
    return place.finish(repository, after, Secrets(), (f"mesh: {what} is retired", f"{what} is over"))


def seal_missing(place: Place, secrets: Secrets) -> Done:
    """Seal the secrets in use to every managed peer that does not have them, such as a new one."""
    repository = place.open()
    use = _in_use(repository)
    if use.secret not in secrets:
        raise ConfigError(f"secret {use.secret}, the one in use, is not at hand", hint="another --secret-file has it")
    return place.finish(repository, use, secrets, (f"mesh: secret {use.secret} is sealed to who did not have it", ""))


def at_hand(place: Place, file: Path | None, private_key_file: Path | None) -> Secrets:
    """The secrets from the operator's file, or those that a node's private key opens. Raise ConfigError."""
    if file:
        return secret_file.load(place.outside(file))
    if private_key_file is None:
        raise ConfigError("which secret?", hint="say --secret-file F, or a node's --private-key-file F")
    private = read_private_key(private_key_file)
    repository, public = place.open(), public_key(private)
    for path, text in repository.tree.texts.items():
        sealed = _read(text) if is_secret_file(path) else None
        if sealed and sealed.public_key == public and (found := opened(sealed, private)).by_id:
            return found
    raise ConfigError(f"nothing in {place.directory} is sealed to the key in {private_key_file}")


def sealed_files(
    repository: WorkingCopy, use: Preshared | None, secrets: Secrets, *, everyone: bool = True
) -> dict[str, str | None]:
    """The files of sealed secrets that have to change: only what is in use, and only to who is in the mesh."""
    numbers = [number for number in (use.secret, use.former) if number] if use else []
    members = {peer.name: peer for peer in _members(repository)} if numbers else {}
    files: dict[str, str | None] = {
        path: None for path in repository.tree.texts if is_secret_file(path) and peer_name(path) not in members
    }
    for name, peer in members.items() if everyone else ():
        present = _read(repository.tree.texts.get(sealed_path(name), b""))
        boxes = dict(_boxes(peer, present, numbers, secrets))
        if boxes and (present is None or (present.public_key, present.boxes) != (peer.public_key, boxes)):
            files[sealed_path(name)] = written(name, Sealed(peer.public_key, boxes))
    return files


def _boxes(peer: Peer, present: Sealed | None, numbers: Iterable[int], secrets: Secrets) -> Iterable[tuple[int, bytes]]:
    """A box that is good stays as it is: sealing again would give other bytes."""
    good = present.boxes if present and present.public_key == peer.public_key else {}
    for number in numbers:
        if number in good:
            yield number, good[number]
        elif number in secrets:
            yield number, seal(secrets.by_id[number], peer.public_key)


def _members(repository: WorkingCopy) -> Iterable[Peer]:
    return (peer for peer in repository.mesh.peers.values() if peer.managed and peer.active(repository.moment))


def _settled(repository: WorkingCopy) -> Preshared:
    use = _in_use(repository)
    if use.former is not None:
        text = f"the mesh is still moving: {in_words(use)}"
        raise ConfigError(text, hint="when every node has it: `mesh-sync secret retire`")
    return use


def _in_use(repository: WorkingCopy) -> Preshared:
    if repository.mesh.preshared is None:
        raise ConfigError("the mesh has no preshared keys", hint="`mesh-sync secret new` begins with them")
    return repository.mesh.preshared


def _soon(repository: WorkingCopy) -> datetime:
    return (repository.moment + AHEAD).replace(microsecond=0)


def _present(repository: WorkingCopy, path: str) -> str | None:
    text = repository.tree.texts.get(path)
    return text.decode(errors="replace") if text is not None else None


def _read(text: bytes) -> Sealed | None:
    try:
        return read(text)
    except Wrong:
        return None
