"""What a change of a list's files means: which peers came, went and were renamed, and which of their keys have other
values. Pure.

What nodes do about it is another question (`wireguard.plan`). A file that cannot be read has no values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import attrs
from attrs import field, frozen

from mesh_sync.findings import printable, some
from mesh_sync.mesh.layout import MESH_FILE, SIGNERS_FILE, is_peer_file, is_secret_file, peer_name
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.mesh.schema import mesh_of, peer_of
from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.typed_toml.table import Wrong
from mesh_sync.wireguard.endpoint import Endpoint

MESH = "mesh"
"""In place of a peer's name, what is about all of them."""
LONGEST = 200
"""Characters of a value that are shown."""
_UNSET: tuple[object, ...] = (None, "", ())
Version = tuple[bytes | None, bytes | None]
"""A file before and after; None where there is none."""


@frozen
class ListChange:
    """One change: of ``peer``'s ``key``, which had the value ``old`` and has ``new`` (as text, None for unset).

    ``kind``: `joined`, `left`, `renamed` (``old`` is the former name), `set`; `broken` where a file cannot be read;
    `secret`, `signer`, `admin` and `file` for what is no peer's key.
    ``text`` is the sentence for people.
    """

    peer: str
    kind: str
    text: str = field(converter=printable)
    key: str = ""
    old: str | None = None
    new: str | None = None

    def as_json(self) -> dict[str, str | None]:
        return attrs.asdict(self)


def renamed(before: Mapping[str, Peer], after: Mapping[str, Peer]) -> dict[str, str]:
    """What peers of the one list are called in the other: a name that was free, and a key that they had."""
    gone = {key: name for name, peer in before.items() if name not in after for key in peer.keys}
    new = (peer for name, peer in after.items() if name not in before) if gone else ()
    return {gone[key]: peer.name for peer in new for key in peer.keys if key in gone}


def list_changes(files: Mapping[str, Version]) -> Iterator[ListChange]:
    """Given what a commit changes of the files that declare a mesh, by path, yield what that means, peers first."""
    paths = sorted(path for path in files if is_peer_file(path))
    peers = [{peer_name(path): files[path][side] for path in paths} for side in (0, 1)]
    before, after = ({name: peer for name, text in each.items() if (peer := peer_at(name, text))} for each in peers)
    names = renamed(before, after)
    for old, new in names.items():
        yield ListChange(new, "renamed", f"{old} is renamed to {new}", "name", old, new)
        yield from _set(new, before[old], after[new])
    for path in paths:
        name, (was, is_now) = peer_name(path), files[path]
        if name in names or name in names.values():
            continue
        if was is None:
            yield ListChange(name, "joined", f"{name} joins{_with(after.get(name))}", new=_key(after.get(name)))
        elif is_now is None:
            yield ListChange(name, "left", f"{name} leaves", old=_key(before.get(name)))
        elif name not in before or name not in after:
            verb = "cannot be read any more" if name in before else "is changed; it cannot be compared"
            yield ListChange(name, "broken", f"{path} {verb}")
        else:
            yield from _set(name, before[name], after[name])
    others = sorted(files.keys() - {*paths, SIGNERS_FILE})  # what that one means is `check.signers`' to say
    for path in (path for path in others if path == MESH_FILE or is_secret_file(path)):
        yield from _other(path, *files[path])
    if rest := [path for path in others if path != MESH_FILE and not is_secret_file(path)]:
        verb = "is changed" if len(rest) == 1 else "are changed"
        yield ListChange(MESH, "file", f"{_cut(printable(some(rest)))} {verb}")


def peer_at(name: str, text: bytes | None) -> Peer | None:
    """The peer that a file describes; None where there is none that can be read."""
    try:
        return None if text is None else peer_of(read_toml(text), name=name)
    except Wrong:
        return None


def values(thing: Peer | Mesh) -> dict[str, Any]:
    """What a file says, by key: a peer's name is that of its file, and a mesh's peers are in others."""
    elsewhere = "name" if isinstance(thing, Peer) else "peers"
    return {each.name: getattr(thing, each.name) for each in attrs.fields(type(thing)) if each.name != elsewhere}


def shown(value: Any) -> str | None:
    """A value as text, None where it is not set."""
    if value in _UNSET:
        return None
    if attrs.has(type(value)) and not isinstance(value, Endpoint):
        told = ((each.name, shown(getattr(value, each.name))) for each in attrs.fields(type(value)))
        return " ".join(f"{name} {text}" for name, text in told if text) or "default"
    if isinstance(value, tuple):
        return ", ".join(shown(one) or "" for one in value)
    text = value.isoformat() if isinstance(value, date) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return _cut(printable(text))


def _other(path: str, was: bytes | None, is_now: bytes | None) -> Iterator[ListChange]:
    """What mesh.toml, or secrets that are sealed to a peer, became."""
    if path != MESH_FILE:
        verb = "is sealed" if was is None else "is no longer sealed" if is_now is None else "is sealed again"
        yield ListChange(peer_name(path), "secret", f"the mesh secret {verb} to {peer_name(path)}")
        return
    before, after = _mesh(was), _mesh(is_now)
    if before and after:
        yield from _set(MESH, before, after)
    elif after and was is None:
        yield ListChange(MESH, "joined", f"the mesh {after.name} begins, with {shown(after.networks)}", new=after.name)
    else:
        yield ListChange(MESH, "file", f"{path} {'is removed' if is_now is None else 'is changed; it cannot be read'}")


def _mesh(text: bytes | None) -> Mesh | None:
    try:
        return None if text is None else mesh_of(read_toml(text))
    except Wrong:
        return None


def _set(name: str, before: Peer | Mesh, after: Peer | Mesh) -> Iterator[ListChange]:
    was, is_now = values(before), values(after)
    for key in is_now:
        if was[key] != is_now[key]:
            old, new = shown(was[key]), shown(is_now[key])
            yield ListChange(name, "set", f"{name}: {_words(key, was[key], is_now[key])}", key, old, new)


def _words(key: str, old: Any, new: Any) -> str:
    """What became of a value."""
    if key == "enabled":
        return "enabled" if new else "disabled"
    if isinstance(new, tuple) and key != "endpoint":
        gone, came = ([one for one in these if one not in those] for these, those in ((old, new), (new, old)))
        parts = [f"{word} {shown(tuple(ones))}" for word, ones in (("added", came), ("removed", gone)) if ones]
        return _cut(f"{key} {' and '.join(parts) or 'in another order'}")
    if old in _UNSET:
        return f"{key} {shown(new)}"
    return f"{key} {shown(old)} -> {shown(new)}" if new not in _UNSET else f"{key} {shown(old)} unset"


def _with(peer: Peer | None) -> str:
    if peer is None:
        return ", with a file that cannot be read"
    told = ", ".join(filter(None, (shown(peer.addresses), shown(peer.endpoint), shown(peer.subnets))))
    return f" with {told} and the key {peer.public_key}"


def _key(peer: Peer | None) -> str | None:
    return peer.public_key if peer else None


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def touched(changes: Iterable[ListChange], name: str) -> tuple[ListChange, ...]:
    """Those about one peer."""
    return tuple(each for each in changes if each.peer == name or (each.kind == "renamed" and each.old == name))
