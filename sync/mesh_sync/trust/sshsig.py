"""An SSH signature as bytes (PROTOCOL.sshsig of OpenSSH): what it says, and whether ssh-keygen would write it so. Pure.

OpenSSH reads more than it writes: the same number with zeros in front, or a larger one that means the same. Each of
these would be another commit that is also signed, made without the key.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

from attrs import frozen

ED25519 = b"ssh-ed25519"
_PREAMBLE = b"SSHSIG"
_VERSION = b"\x00\x00\x00\x01"
_HASHES = (b"sha256", b"sha512")
_RSA = (b"rsa-sha2-256", b"rsa-sha2-512")
"""How an RSA key signs; ssh-rsa would be with SHA-1."""
_CURVES = (ED25519, *(b"ecdsa-sha2-nistp%d" % bits for bits in (256, 384, 521)))
_FLAGS_AND_COUNTER = 5
"""Bytes after the signature of an authenticator, which it signs too (PROTOCOL.u2f of OpenSSH)."""
_SECURITY_KEY = b"sk-"
"""How the types of keys begin that live in a FIDO authenticator."""
_TOUCHED = 1
"""The bit of an authenticator's flags that says a person was there (WebAuthn, section 6.1); sshd asks for it too."""
_COLUMNS = 70
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
_ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the base point (RFC 8032, section 5.1): S plus this is S again, and some versions of OpenSSH take both."""


@frozen
class SshSignature:
    """``key``: the blob of the public key; ``proof``: what the key has made, after its type, with all that follows."""

    key: bytes
    namespace: bytes
    reserved: bytes
    hash: bytes
    proof: bytes

    @property
    def key_text(self) -> str:
        """`TYPE BASE64`. ValueError when the blob is no key's."""
        return _key_text(self.key)

    def is_plain(self) -> bool:
        """Whether ssh-keygen could have written it. ValueError when a part is cut short.

        Of a certificate, or a key of an unknown type, only the outside is looked at: no signer's line has one.
        """
        return not self.reserved and self.hash in _HASHES and _is_least(self.key, self.proof)

    def is_untouched(self) -> bool:
        """Whether an authenticator has signed without a person's touch, as malware can have it do."""
        kind, rest = string(self.proof)
        flags = string(rest)[1][:1] or b"\0"
        return kind.startswith(_SECURITY_KEY) and not flags[0] & _TOUCHED

    def signed_message(self, namespace: bytes, message: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature, and what they have to be made over to be one of ``message``."""
        digest = hashlib.new(self.hash.decode(), message, usedforsecurity=True).digest()
        parts = (namespace, b"", self.hash, digest)
        return string(string(self.proof)[1])[0] + _PREAMBLE + b"".join(map(_written, parts))


def read(lines: list[bytes]) -> SshSignature | None:
    """Given an armoured signature, return it; None when it is armoured in another way than ssh-keygen's, or has more.

    ValueError when it cannot be read at all.
    """
    blob = base64.b64decode(b"".join(line for line in lines if not line.startswith(b"-----")), validate=True)
    found = of_blob(blob)
    return found if lines == _armour(blob) else None


def of_blob(blob: bytes) -> SshSignature | None:
    """The same of a signature without armour."""
    if not blob.startswith(_PREAMBLE + _VERSION):
        raise ValueError("no SSH signature of this version")
    key, namespace, reserved, hash_, proof, *rest = strings(blob[len(_PREAMBLE + _VERSION) :])
    return None if rest else SshSignature(key, namespace, reserved, hash_, proof)


def _armour(blob: bytes) -> list[bytes]:
    text = base64.b64encode(blob)
    return [_BEGIN, *(text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)), _END]


@lru_cache(maxsize=1000)
def _key_text(key: bytes) -> str:
    return f"{string(key)[0].decode('ascii')} {base64.b64encode(key).decode()}"


def _is_least(key: bytes, proof: bytes) -> bool:
    """Whether a key's numbers are written as they are made. ECDSA has two for every commit all the same."""
    kind = string(key)[0]
    name, rest = string(proof)
    number, more = string(rest)
    family = kind.removeprefix(_SECURITY_KEY).removesuffix(b"@openssh.com")
    if family == b"ssh-rsa":
        modulus = strings(key)[2].lstrip(b"\0")
        # a leading zero could be left out, and the modulus added
        return name in _RSA and not more and len(number) == len(modulus) and number < modulus
    if family not in _CURVES:
        return True
    if name != kind or len(more) != (_FLAGS_AND_COUNTER if kind.startswith(_SECURITY_KEY) else 0):
        return False
    if family == ED25519:
        return len(number) == 64 and int.from_bytes(number[32:], "little") < _ED25519_ORDER
    numbers = strings(number)
    return len(numbers) == 2 and all(map(is_shortest, numbers))


def is_shortest(number: bytes) -> bool:
    """Whether a positive number is written as SSH does it (mpint, RFC 4251, section 5)."""
    return number[:1] > b"\0" and number[0] < 0x80 if number[:1] != b"\0" else number[1:2] >= b"\x80"


def strings(data: bytes) -> list[bytes]:
    """All strings that SSH has written one after the other, to the end. ValueError when the last is cut short."""
    found = []
    while data:
        first, data = string(data)
        found.append(first)
    return found


def string(data: bytes) -> tuple[bytes, bytes]:
    """A string as SSH writes it (RFC 4251, section 5), and what follows. ValueError when it is cut short."""
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 + length:
        raise ValueError("cut short")
    return data[4 : 4 + length], data[4 + length :]


def _written(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
