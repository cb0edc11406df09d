"""Who is invited to a mesh that this machine hosts, and which keys were handed over: a file for each invitation.

All writers hold one lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve, frozen

from mesh_sync.errors import ConfigError
from mesh_sync.invitation.answer import Request, request_of
from mesh_sync.system.files import write_atomically
from mesh_sync.system.lock import locked
from mesh_sync.typed_toml.fields import peer_name
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, table

FOLDER = "mesh-sync"
"""Below the bare repository: what git does not know of."""
MOST = 100
"""Invitations at a time."""
MOST_REPLACED = 4
_DAY = 86400.0


@frozen(kw_only=True)
class Invited:
    """``token_key``: the token's public half; ``until``: Unix seconds until which keys can be handed over; ``request``:
    those that were. ``replaced``: public halves of earlier tokens for this name, which are told that they are over.
    """

    name: str
    token_key: str
    until: float
    request: Request | None = None
    withdrawn: bool = False
    replaced: tuple[str, ...] = ()

    @property
    def kept_until(self) -> float:
        """Until when the token may ask what became of it: a machine that waits asks every few seconds, and a key that
        sshd does not know would look like an attack.
        """
        return self.until + (30 if self.request and not self.withdrawn else 1) * _DAY


@contextmanager
def held(place: Path) -> Iterator[None]:
    """Hold the lock of the repository ``place``. Raise Locked."""
    with locked(place / FOLDER / "lock"):
        yield


def load(place: Path, name: str) -> Invited | None:
    """The invitation of this name, if there is one."""
    try:
        return _invited(read_json(_file(place, name).read_bytes()))
    except (OSError, Wrong):
        return None


def save(place: Path, invited: Invited) -> None:
    """Keep it. Raise DeviceError, or ConfigError when there are too many."""
    if not _file(place, invited.name).exists() and sum(1 for _ in _files(place)) >= MOST:
        raise ConfigError(f"there are {MOST} invitations already")
    write_atomically(_file(place, invited.name), as_json(invited))


def current(place: Path, moment: float) -> tuple[Invited, ...]:
    """All that may still ask, by name; what is over is removed."""
    found = []
    for file in sorted(_files(place)):
        invited = load(place, file.stem)
        if invited is None or invited.kept_until < moment:
            file.unlink(missing_ok=True)
        else:
            found.append(invited)
    return tuple(found)


def withdrawn(place: Path, invited: Invited) -> None:
    """Let no keys in by it any more."""
    save(place, evolve(invited, withdrawn=True, request=None))


def _files(place: Path) -> Iterator[Path]:
    return (place / FOLDER / "invitations").glob("*.json")


def _file(place: Path, name: str) -> Path:
    return place / FOLDER / "invitations" / f"{peer_name(name)}.json"


_invited = table(Invited, {Request: request_of}, name=peer_name)
