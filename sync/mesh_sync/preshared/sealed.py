"""`secrets/<node>.toml`: the mesh secrets as one node can open them, sealed to its WireGuard key.

A sealed box is libsodium's: an ephemeral Curve25519 key, then the secret under a key that only the node can compute.
One file per node, so that two changes never conflict. Pure but for the randomness of a box.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from attrs import field, frozen

from mesh_sync.findings import shown
from mesh_sync.mesh.layout import SECRETS
from mesh_sync.preshared.derive import SIZE, Secrets, is_id
from mesh_sync.typed_toml import reader

BOX = SIZE + 48
"""Bytes of a sealed secret (libsodium, crypto_box_SEALBYTES)."""
_KEY_LENGTH = 32


@frozen
class Sealed:
    """What a node's file holds: boxes by id, and the public key they were sealed to."""

    public_key: str
    boxes: Mapping[int, bytes] = field(factory=dict)


def path_of(name: str) -> str:
    """The file of a node."""
    return f"{SECRETS}{name}.toml"


def name_of(path: str) -> str:
    """The node of a file."""
    return path.removeprefix(SECRETS).removesuffix(".toml")


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


def read(text: bytes) -> Sealed:
    """Given a node's file, return it. Raise Wrong with everything that is wrong."""
    try:
        table = reader.loads(text)
    except UnicodeDecodeError:
        raise Wrong([("", "is not UTF-8 text")]) from None
    except (RecursionError, ValueError) as error:
        raise Wrong([("", f"is not valid TOML: {str(error) or 'nested too deep'}")]) from None
    problems = [(key, "unknown key") for key in sorted(table.keys() - {"public_key", "sealed"})]
    problems += [(key, "is missing") for key in ("public_key", "sealed") if key not in table]
    key = table.get("public_key", "")
    if "public_key" in table and len(_decoded(key)) != _KEY_LENGTH:
        problems.append(("public_key", "is not a WireGuard key (44 characters of base64)"))
    boxes: dict[int, bytes] = {}
    listed = table.get("sealed", {})
    if not isinstance(listed, dict):
        problems.append(("sealed", f"must be a table, not {shown(listed)}"))
        listed = {}
    for number, value in listed.items():
        if not is_id(number):
            problems.append((f"sealed.{number}", "is not the id of a secret: 1, 2, ..."))
        elif len(box := _decoded(value)) != BOX:
            problems.append((f"sealed.{number}", f"is not a sealed secret ({BOX} bytes of base64)"))
        else:
            boxes[int(number)] = box
    if problems:
        raise Wrong(problems)
    return Sealed(key, boxes)


class Wrong(Exception):
    """Everything that is wrong with a file: pairs of key and message."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__(problems)
        self.problems = problems


def _decoded(value: object) -> bytes:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        return b""
