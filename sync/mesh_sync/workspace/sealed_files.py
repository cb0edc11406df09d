"""The files in secrets/ of a working copy: which peers hold which mesh secret, and what is to be sealed to them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from attrs import frozen

from mesh_sync.mesh.layout import is_secret_file, peer_name, sealed_path
from mesh_sync.mesh.model import Peer, Preshared
from mesh_sync.preshared.derive import Secrets
from mesh_sync.preshared.sealed import Sealed, read, written
from mesh_sync.preshared.sealed_box import opened, seal
from mesh_sync.typed_toml.table import Wrong
from mesh_sync.wireguard.keys import public_key
from mesh_sync.workspace.working_copy import WorkingCopy


def changed(
    copy: WorkingCopy, use: Preshared | None, secrets: Secrets, *, everyone: bool = True
) -> dict[str, str | None]:
    """The files that have to change: only secrets in use stay, sealed only to members of the mesh.

    Without ``everyone`` nothing new is sealed.
    """
    numbers = [number for number in (use.secret, use.former) if number] if use else []
    members = {peer.name: peer for peer in _members(copy)} if numbers else {}
    files: dict[str, str | None] = {
        path: None for path in copy.tree.texts if is_secret_file(path) and peer_name(path) not in members
    }
    for name, peer in members.items() if everyone else ():
        present = _sealed(copy.tree.texts.get(sealed_path(name), b""))
        boxes = dict(_boxes(peer, present, numbers, secrets))
        if boxes and (present is None or (present.public_key, present.boxes) != (peer.public_key, boxes)):
            files[sealed_path(name)] = written(name, Sealed(peer.public_key, boxes))
    return files


def open_with(copy: WorkingCopy, private_key: str) -> Secrets:
    """The secrets that are sealed to a private key; empty when none is."""
    public = public_key(private_key)
    for path, text in copy.tree.texts.items():
        sealed = _sealed(text) if is_secret_file(path) else None
        if sealed and sealed.public_key == public and (found := opened(sealed, private_key)).by_id:
            return found
    return Secrets()


class Holding(Enum):
    """What `secrets/` has for a peer."""

    SEALED = "sealed"
    NOTHING = "nothing"
    UNREADABLE = "unreadable"
    OTHER_KEY = "other-key"
    """It is sealed to a key that the peer no longer has."""


@frozen
class Held:
    """Which secrets, by number, are sealed to the managed peer ``name``."""

    name: str
    holding: Holding
    numbers: tuple[int, ...] = ()

    def __str__(self) -> str:
        has = f"has {', '.join(map(str, self.numbers)) or 'none'}"
        return {
            Holding.SEALED: has,
            Holding.NOTHING: "nothing is sealed to it",
            Holding.UNREADABLE: "its file cannot be read",
            Holding.OTHER_KEY: "sealed to a key that it no longer has",
        }[self.holding]


def holders(copy: WorkingCopy) -> Iterator[Held]:
    """Each managed peer, by name."""
    for peer in sorted(_members(copy), key=lambda peer: peer.name):
        text = copy.tree.texts.get(sealed_path(peer.name))
        sealed = _sealed(text) if text is not None else None
        if text is None:
            yield Held(peer.name, Holding.NOTHING)
        elif sealed is None:
            yield Held(peer.name, Holding.UNREADABLE)
        elif sealed.public_key != peer.public_key:
            yield Held(peer.name, Holding.OTHER_KEY)
        else:
            yield Held(peer.name, Holding.SEALED, tuple(sorted(sealed.boxes)))


def _boxes(peer: Peer, present: Sealed | None, numbers: list[int], secrets: Secrets) -> Iterator[tuple[int, bytes]]:
    """A good box stays as it is: sealing again would give other bytes."""
    good = present.boxes if present and present.public_key == peer.public_key else {}
    for number in numbers:
        if number in good:
            yield number, good[number]
        elif number in secrets:
            yield number, seal(secrets.by_id[number], peer.public_key)


def _members(copy: WorkingCopy) -> Iterator[Peer]:
    return (peer for peer in copy.mesh.peers.values() if peer.managed and peer.active(copy.moment))


def _sealed(text: bytes) -> Sealed | None:
    try:
        return read(text)
    except Wrong:
        return None
