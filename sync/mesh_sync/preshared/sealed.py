"""`secrets/<node>.toml`: the mesh secrets as one node can open them, sealed to its WireGuard key.

One file per node, so that two changes never conflict. `sealed_box` makes and opens the boxes. Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from attrs import frozen

from mesh_sync.mesh.schema import public_key
from mesh_sync.preshared.derive import SIZE, is_id
from mesh_sync.typed_toml.fields import text
from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.typed_toml.table import mapping_of, table

BOX = SIZE + 48
"""Bytes of a sealed secret (libsodium, crypto_box_SEALBYTES)."""


@frozen
class Sealed:
    """What a node's file holds: boxes by id, and the public key they were sealed to."""

    public_key: str
    boxes: Mapping[int, bytes]


def written(name: str, sealed: Sealed) -> str:
    """The text of a node's file."""
    boxes = "".join(f'{number} = "{base64.b64encode(box).decode()}"\n' for number, box in sorted(sealed.boxes.items()))
    head = f"# The mesh secrets that {name} can open with its private key. `mesh-sync secret` writes this file.\n"
    return f'{head}public_key = "{sealed.public_key}"\n\n[sealed]\n{boxes}'


def read(content: bytes) -> Sealed:
    """Given a node's file, return it. Raise Wrong with everything that is wrong."""
    return _sealed_of(read_toml(content))


def _id(value: object) -> int:
    if not is_id(text(value)):
        raise ValueError("is not the id of a secret: 1, 2, ...")
    return int(text(value))


def _box(value: object) -> bytes:
    try:
        box = base64.b64decode(text(value), validate=True)
    except ValueError:
        box = b""
    if len(box) != BOX:
        raise ValueError(f"is not a sealed secret ({BOX} bytes of base64)")
    return box


_sealed_of = table(Sealed, keys={"boxes": "sealed"}, public_key=public_key, boxes=mapping_of(_box, _id))
