"""What `mesh-sync host` remembers of a repository that it hosts, and the list's signers there."""

from __future__ import annotations

import os
import time
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import CommandError, ConfigError
from mesh_sync.hosting import ledger
from mesh_sync.hosting.authorized_keys import Access, lines, replaced
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.system.files import write_atomically
from mesh_sync.trust import signers
from mesh_sync.trust.signers import Signers
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, table

MOST = 1024 * 1024
"""Bytes of a list of signers, and of an authorized_keys file."""


@frozen(kw_only=True)
class Hosting:
    """``program``: the path of mesh-sync; ``authorized_keys``: sshd's file for the user that owns the repository;
    ``owners``: keys that may read and push whatever the list says, `TYPE BASE64`.
    """

    program: Path
    authorized_keys: Path
    owners: tuple[str, ...] = ()
    branch: str = "main"


def load(place: Path) -> Hosting:
    """Raise ConfigError when the repository is not hosted."""
    try:
        return _hosting(read_json(_file(place).read_bytes()))
    except (OSError, Wrong):
        raise ConfigError(f"{place} is not hosted by this user", hint=f"mesh-sync host {place}") from None


def save(place: Path, hosting: Hosting) -> None:
    """Raise DeviceError."""
    write_atomically(_file(place), as_json(hosting))


def listed(place: Path, branch: str) -> Signers:
    """The signers of the list as it was pushed; none before the first push."""
    try:
        content = GitObjects(place).git("cat-file", "blob", f"refs/heads/{branch}:{SIGNERS_FILE}", most=MOST)
    except CommandError:
        return Signers()
    return signers.parse(content)[0]


def refresh(place: Path) -> None:
    """Let in exactly those whom the list, the owner and invitations name now. Raise DeviceError, Locked.

    To be called whenever one of the three has changed; by the repository's user.
    """
    if place.stat().st_uid != os.geteuid():  # sshd could not read what another user has written
        raise ConfigError(f"{place} belongs to another user", hint="push by ssh, so that git runs as that user")
    hosting = load(place)
    with ledger.held(place):
        access = Access(
            program=str(hosting.program),
            place=place,
            owners=hosting.owners,
            signers=tuple(dict.fromkeys(one.key for one in listed(place, hosting.branch).entries)),
            invited=ledger.current(place, time.time()),
        )
        rewrite(hosting.authorized_keys, place, tuple(lines(access)))


def rewrite(file: Path, place: Path, new: tuple[str, ...]) -> None:
    """Put these lines into the authorized_keys file, for this repository. Raise DeviceError."""
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
    after = replaced(before, place, new)
    if after != before:
        write_atomically(file, after)


def _file(place: Path) -> Path:
    return place / ledger.FOLDER / "host.json"


_hosting = table(Hosting)
