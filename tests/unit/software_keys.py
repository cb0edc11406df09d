"""SSH keys whose private half the test computes with, and so what ssh-keygen alone would not sign.

FIDO keys without their hardware; RSA with any hash; Ed25519 without a process for each signature.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import subprocess
from pathlib import Path

from attrs import field, frozen
from nacl.signing import SigningKey

BEGIN, END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
TOUCHED = 1
ED25519, SK_ED25519 = b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com"
SK_ECDSA, WEBAUTHN = b"sk-ecdsa-sha2-nistp256@openssh.com", b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com"
APPLICATION = b"ssh:"
Point = tuple[int, int] | None
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
"""NIST P-256 (SP 800-186, 3.2.1.3), of which y² = x³ - 3x + b."""
DIGEST_INFO = {
    "sha1": "3021300906052b0e03021a05000414",
    "sha256": "3031300d060960864801650304020105000420",
    "sha512": "3051300d060960864801650304020305000440",
}
"""What stands before the hash in an RSA signature (RFC 8017, 9.2)."""


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def number(value: int) -> bytes:
    """As SSH writes it: an mpint."""
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big") if value else b"")


def line(key: bytes) -> str:
    """TYPE BASE64 of a public key."""
    kind = key[4 : 4 + int.from_bytes(key[:4], "big")]
    return f"{kind.decode()} {base64.b64encode(key).decode()}"


def to_sign(message: bytes, namespace: bytes = b"git", hash: bytes = b"sha512") -> bytes:
    """What a key signs for a message (PROTOCOL.sshsig)."""
    digest = hashlib.new(hash.decode(), message).digest()
    return b"SSHSIG" + string(namespace) + string(b"") + string(hash) + string(digest)


def blob(key: bytes, proof: bytes, namespace: bytes = b"git", hash: bytes = b"sha512") -> bytes:
    """A signature."""
    return b"SSHSIG\0\0\0\1" + string(key) + string(namespace) + string(b"") + string(hash) + string(proof)


def header(data: bytes, columns: int = 70) -> bytes:
    """A signature as a header of a commit."""
    text = base64.b64encode(data)
    lines = [BEGIN, *(text[start : start + columns] for start in range(0, len(text), columns)), END]
    return b"gpgsig " + b"\n ".join(lines) + b"\n"


def signed(payload: bytes, data: bytes) -> bytes:
    """A commit with its signature, where git puts it."""
    place = payload.find(b"\n\n") + 1 or len(payload)
    return payload[:place] + header(data) + payload[place:]


@frozen
class Ed25519:
    """``security``: as in an authenticator, with these flags and counter."""

    seed: bytes = field(factory=lambda: secrets.token_bytes(32))
    security: bool = False
    flags: int = TOUCHED

    @property
    def public(self) -> bytes:
        point = string(bytes(SigningKey(self.seed).verify_key))
        return string(SK_ED25519) + point + string(APPLICATION) if self.security else string(ED25519) + point

    def proof(self, data: bytes) -> bytes:
        key = SigningKey(self.seed)
        if not self.security:
            return string(ED25519) + string(key.sign(data).signature)
        more = bytes([self.flags]) + (7).to_bytes(4, "big")
        return string(SK_ED25519) + string(key.sign(_asserted(more, hashlib.sha256(data).digest())).signature) + more


@frozen
class SecurityEcdsa:
    """An ECDSA key as in an authenticator."""

    private: int = field(factory=lambda: secrets.randbelow(ORDER - 1) + 1)
    flags: int = TOUCHED

    @property
    def public(self) -> bytes:
        point = _times(self.private, BASE)
        assert point is not None
        written = b"\4" + b"".join(part.to_bytes(32, "big") for part in point)
        return string(SK_ECDSA) + string(b"nistp256") + string(written) + string(APPLICATION)

    def proof(self, data: bytes) -> bytes:
        more = bytes([self.flags]) + (7).to_bytes(4, "big")
        return string(SK_ECDSA) + string(self._numbers(more, hashlib.sha256(data).digest())) + more

    def proof_of_browser(self, data: bytes) -> bytes:
        """As a web page can have an authenticator sign it (PROTOCOL.u2f, webauthn)."""
        more = bytes([self.flags]) + (7).to_bytes(4, "big")
        challenge = base64.urlsafe_b64encode(data).rstrip(b"=")
        wrapper = (
            b'{"type":"webauthn.get","challenge":"' + challenge + b'","origin":"https://x.org","crossOrigin":false}'
        )
        numbers = self._numbers(more, hashlib.sha256(wrapper).digest())
        return string(WEBAUTHN) + string(numbers) + more + string(b"https://x.org") + string(wrapper) + string(b"")

    def _numbers(self, more: bytes, message: bytes) -> bytes:
        digest = int.from_bytes(hashlib.sha256(_asserted(more, message)).digest(), "big")
        nonce = secrets.randbelow(ORDER - 1) + 1
        point = _times(nonce, BASE)
        assert point is not None
        r = point[0] % ORDER
        return number(r) + number(pow(nonce, -1, ORDER) * (digest + r * self.private) % ORDER)


def _asserted(more: bytes, message: bytes) -> bytes:
    """What an authenticator signs: the application, its flags and counter, the message's hash."""
    return hashlib.sha256(APPLICATION).digest() + more + message


def _times(factor: int, point: Point) -> Point:
    total: Point = None
    while factor:
        total = _sum(total, point) if factor & 1 else total
        point, factor = _sum(point, point), factor >> 1
    return total


def _sum(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return other if one is None else one
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    steep, run = (3 * x1 * x1 - 3, 2 * y1) if one == other else (y2 - y1, x2 - x1)
    slope = steep * pow(run, -1, P) % P
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


@frozen
class Rsa:
    modulus: int
    exponent: int
    private: int

    @classmethod
    def made(cls, place: Path) -> Rsa:
        """By ssh-keygen, in a file that says its numbers."""
        argv = ["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-m", "PEM", "-N", "", "-f", str(place)]
        subprocess.run(argv, check=True)
        text = re.sub(r"-----.*", "", place.read_text())
        return cls(*_integers(base64.b64decode(text))[1:4])

    @property
    def public(self) -> bytes:
        return string(b"ssh-rsa") + number(self.exponent) + number(self.modulus)

    @property
    def size(self) -> int:
        return (self.modulus.bit_length() + 7) // 8

    def raw(self, data: bytes, hash: str) -> int:
        info = bytes.fromhex(DIGEST_INFO[hash]) + hashlib.new(hash, data).digest()
        padded = b"\0\1" + b"\xff" * (self.size - len(info) - 3) + b"\0" + info
        return pow(int.from_bytes(padded, "big"), self.private, self.modulus)

    def proof(self, data: bytes, name: str = "rsa-sha2-512", hash: str = "sha512") -> bytes:
        return string(name.encode()) + string(self.raw(data, hash).to_bytes(self.size, "big"))


def _integers(der: bytes) -> list[int]:
    """The numbers of a sequence (PKCS #1, A.1.2)."""
    found, rest = [], _content(der)[0]
    while rest:
        value, rest = _content(rest)
        found.append(int.from_bytes(value, "big"))
    return found


def _content(der: bytes) -> tuple[bytes, bytes]:
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    return der[start : start + length], der[start + length :]
