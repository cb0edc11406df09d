"""`secrets/<node>.toml`: the mesh secrets as one node can open them, sealed to its WireGuard key.

A sealed box is libsodium's: an ephemeral Curve25519 key, then the secret under a key that only the node can compute.
One file per node, so that two changes never conflict. Pure but for the randomness of a box.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from attrs import frozen

from mesh_sync.mesh.schema import public_key
from mesh_sync.preshared.derive import SIZE, Secrets, is_id
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


def seal(secret: bytes, public_key: str) -> bytes:
    """A box that only the holder of the private key can open."""
    from nacl.public import PublicKey, SealedBox

    return bytes(SealedBox(PublicKey(base64.b64decode(public_key))).encrypt(secret))


def opened(sealed: Sealed, private_key: str) -> Secrets:
    """The secrets that this private key opens; the others are left out."""
    from nacl.exceptions import CryptoError
    from nacl.public import PrivateKey, SealedBox

    holder = SealedBox(PrivateKey(base64.b64decode(private_key)))
    found: dict[int, bytes] = {}
    for number, box in sealed.boxes.items():
        try:
            found[number] = holder.decrypt(box)
        except (CryptoError, ValueError):
            continue
    return Secrets(found)


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
