"""WireGuard's first message, as the machine with the private key reads it: who begins a handshake? Pure.

A peer that has prepared for this machine's next key begins handshakes with that key. The interface does not run the key
yet and ignores the message, but the private half tells whom it is from. Names and numbers are those of the WireGuard
paper, sections 5.4.2 and 5.4.4.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from nacl.bindings import crypto_aead_chacha20poly1305_ietf_decrypt, crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

from mesh_sync.wireguard.protocol import INITIATION_SIZE

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
LABEL_MAC1 = b"mac1----"
TYPE = b"\1\0\0\0"


class Responder:
    """The machine whose private key a handshake is for."""

    def __init__(self, private_key: str) -> None:
        self._private = base64.b64decode(private_key)
        self._public = crypto_scalarmult_base(self._private)
        self._mac_key = _hash(LABEL_MAC1, self._public)

    def initiator(self, message: bytes) -> str | None:
        """Given a datagram, return the public key of the machine that sent it, None if it begins no handshake with us.

        The message proves that its sender has the private half of that key; it may be an old one, sent again.
        """
        if len(message) != INITIATION_SIZE or message[:4] != TYPE:
            return None
        mac1 = hashlib.blake2s(message[:116], digest_size=16, key=self._mac_key).digest()
        if not hmac.compare_digest(mac1, message[116:132]):
            return None
        ephemeral, static, timestamp = message[8:40], message[40:88], message[88:116]
        chain = _hash(CONSTRUCTION)
        seen = _hash(_hash(_hash(chain, IDENTIFIER), self._public), ephemeral)
        try:
            chain = _kdf(chain, ephemeral)[0]
            chain, key = _kdf(chain, crypto_scalarmult(self._private, ephemeral))
            sender = _decrypted(key, static, seen)
            key = _kdf(chain, crypto_scalarmult(self._private, sender))[1]
            _decrypted(key, timestamp, _hash(seen, static))
        except (CryptoError, RuntimeError):
            return None
        return base64.b64encode(sender).decode()


def _hash(*parts: bytes) -> bytes:
    return hashlib.blake2s(b"".join(parts)).digest()


def _kdf(key: bytes, message: bytes) -> tuple[bytes, bytes]:
    """KDF2: two keys from one and a message."""
    secret = hmac.digest(key, message, "blake2s")
    first = hmac.digest(secret, b"\1", "blake2s")
    return first, hmac.digest(secret, first + b"\2", "blake2s")


def _decrypted(key: bytes, ciphertext: bytes, seen: bytes) -> bytes:
    plaintext: bytes = crypto_aead_chacha20poly1305_ietf_decrypt(ciphertext, seen, bytes(12), key)
    return plaintext
