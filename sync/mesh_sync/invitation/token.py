"""The token of an invitation: an Ed25519 key, with which ssh logs in and the invited machine's keys are signed. Pure.

The git host knows the public half only: it can neither hand over keys in the invited machine's place nor change them.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable

from attrs import frozen
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from mesh_sync.trust.signers import GROUPS
from mesh_sync.trust.sshsig import ED25519, strings

_SIZE = 32
_MAGIC = b"openssh-key-v1\0"
_COLUMNS = 70
_BLOCK = 8


@frozen
class Keys:
    """What an invited machine hands over: the public halves of its WireGuard key and of its signing key."""

    public_key: str
    signing_key: str

    @property
    def fingerprint(self) -> str:
        """What two people compare, at the machine and at the admin's: 128 bits, as of a mesh."""
        words = f"mesh-sync keys\n{self.public_key}\n{self.signing_key}"
        digest = hashlib.sha256(words.encode()).hexdigest()
        return "-".join(digest[4 * group : 4 * group + 4] for group in range(GROUPS))

    def message(self, name: str) -> bytes:
        """What is signed. What ssh signs to log in begins with the length of a session's name, never like this."""
        return f"mesh-sync invitation of {name}\n{self.public_key}\n{self.signing_key}\n".encode()


def new_token(random: Callable[[int], bytes] = os.urandom) -> str:
    """A new token, base64."""
    return base64.b64encode(random(_SIZE)).decode()


def is_token(text: str) -> bool:
    """Whether this is a token."""
    try:
        return len(base64.b64decode(text, validate=True)) == _SIZE
    except ValueError:
        return False


def public_half(token: str) -> str:
    """The public key that belongs to a token, as ssh writes it: `ssh-ed25519 BASE64`."""
    return f"ssh-ed25519 {base64.b64encode(_blob(_key(token))).decode()}"


def sign(token: str, name: str, keys: Keys) -> str:
    """A signature over a machine's keys, base64."""
    return base64.b64encode(_key(token).sign(keys.message(name)).signature).decode()


def is_signed(public: str, name: str, keys: Keys, signature: str) -> bool:
    """Whether the holder of the token with this public half has signed these keys for this name."""
    try:
        key = strings(base64.b64decode(public.split()[1]))[1]
        VerifyKey(key).verify(keys.message(name), base64.b64decode(signature, validate=True))
    except (BadSignatureError, ValueError, IndexError):
        return False
    return True


def private_key_file(token: str) -> str:
    """The token as a file for ssh, in its own format (PROTOCOL.key of OpenSSH), without a passphrase."""
    key = _key(token)
    blob, public = _blob(key), bytes(key.verify_key)
    inner = b"\0" * 8 + b"".join(map(_string, (ED25519, public, bytes(key) + public, b"invitation")))
    inner += bytes(range(1, 1 + -len(inner) % _BLOCK))
    outer = _MAGIC + b"".join(map(_string, (b"none", b"none", b""))) + (1).to_bytes(4, "big")
    text = base64.b64encode(outer + _string(blob) + _string(inner)).decode()
    lines = [text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)]
    return "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""])


def _key(token: str) -> SigningKey:
    return SigningKey(base64.b64decode(token))


def _blob(key: SigningKey) -> bytes:
    return _string(ED25519) + _string(bytes(key.verify_key))


def _string(data: bytes) -> bytes:
    """As SSH writes it (RFC 4251, section 5)."""
    return len(data).to_bytes(4, "big") + data
