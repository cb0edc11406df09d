"""A mesh secret sealed to the WireGuard key of one node. Pure but for the randomness of a box.

A sealed box is libsodium's: an ephemeral Curve25519 key, then the secret under a key that only the node can compute.
"""

from __future__ import annotations

import base64

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from mesh_sync.preshared.derive import Secrets
from mesh_sync.preshared.sealed import Sealed


def seal(secret: bytes, public_key: str) -> bytes:
    """A box that only the holder of the private key can open."""
    return bytes(SealedBox(PublicKey(base64.b64decode(public_key))).encrypt(secret))


def opened(sealed: Sealed, private_key: str) -> Secrets:
    """The secrets that this private key opens; the others are left out."""
    holder = SealedBox(PrivateKey(base64.b64decode(private_key)))
    found: dict[int, bytes] = {}
    for number, box in sealed.boxes.items():
        try:
            found[number] = holder.decrypt(box)
        except (CryptoError, ValueError):
            continue
    return Secrets(found)
