"""What `mesh-sync secret show` says: which mesh secret is in use, and to whom it is sealed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from mesh_sync.mesh.layout import sealed_path
from mesh_sync.mesh.model import Mesh, Preshared
from mesh_sync.preshared.sealed import read
from mesh_sync.typed_toml.table import Wrong


def in_words(use: Preshared | None) -> str:
    """The state of the mesh in a sentence."""
    if use is None:
        return "no preshared keys"
    now = f"preshared keys come from secret {use.secret}" if use.secret else "preshared keys are being given up"
    if use.former is None:
        return now
    before = f"secret {use.former}" if use.former else "going without"
    return f"{now}; {before} is good too until it is retired; nodes move from {use.since}"


def holders(mesh: Mesh, texts: Mapping[str, bytes], moment: datetime) -> Iterator[tuple[str, str]]:
    """Each managed peer of the mesh, and which secrets are sealed to it."""
    for name, peer in sorted(mesh.peers.items()):
        if peer.managed and peer.active(moment):
            text = texts.get(sealed_path(name))
            yield name, "nothing is sealed to it" if text is None else _sealed(text, peer.public_key)


def _sealed(text: bytes, public_key: str) -> str:
    try:
        found = read(text)
    except Wrong:
        return "its file cannot be read"
    if found.public_key != public_key:
        return "sealed to a key that it does not have any more"
    return f"has {', '.join(map(str, sorted(found.boxes))) or 'none'}"
