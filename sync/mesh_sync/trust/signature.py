"""What the signature of a commit says of itself: which key made it, and for what. Pure; nothing here is proven.

It chooses the line that ssh-keygen then has to verify the commit with, and words the refusal.
"""

from __future__ import annotations

import base64
import hashlib

from attrs import evolve, frozen

SSH = "SSH"
_KINDS = {
    "-----BEGIN SSH SIGNATURE-----": SSH,
    "-----BEGIN PGP SIGNATURE-----": "OpenPGP",
    "-----BEGIN PGP MESSAGE-----": "OpenPGP",
    "-----BEGIN SIGNED MESSAGE-----": "X.509",
}
UNUSUAL = "a form that ssh-keygen does not write"
"""The kind of a signature that would verify, but of which anybody could make another for the same commit."""
_HEADER = b"gpgsig"
"""git takes every header that begins so out of what is signed: one more changes the hash and not the signature."""
_MAGIC = b"SSHSIG\x00\x00\x00\x01"
"""How an SSH signature begins (PROTOCOL.sshsig of OpenSSH): magic preamble and version."""
_COLUMNS = 70
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the base point (RFC 8032, section 5.1): S plus this is S again, and OpenSSH takes both."""


@frozen
class Signature:
    """``kind``: SSH, another's name, or empty for none. ``key``: `TYPE BASE64` of the SSH key; empty if unreadable.

    ``signed``: the SHA-256 of the commit's `signed_part`, in hexadecimal; every commit has it, signed or not.
    """

    kind: str = ""
    key: str = ""
    namespace: str = ""
    signed: str = ""


def read(commit: bytes) -> Signature:
    """Given a commit object as git keeps it, return what its signature says.

    Only what git and ssh-keygen write is SSH's; everything else that they would take for the same is `UNUSUAL`.
    """
    return evolve(_read(commit), signed=hashlib.sha256(signed_part(commit)).hexdigest())


def _read(commit: bytes) -> Signature:
    head = commit.partition(b"\n\n")[0].split(b"\n")
    places = [number for number, line in enumerate(head) if line.startswith(_HEADER)]
    if not places:
        return Signature()
    name, *lines = head[places[0]].partition(b" ")[::2]
    more = head[places[0] + 1 :]
    text = [line.decode(errors="replace") for line in (*lines, *(line[1:] for line in more))]
    kind = _KINDS.get(text[0], "an unknown kind")
    if len(places) > 1 or (kind == SSH and (name != _HEADER or not all(line.startswith(b" ") for line in more))):
        return Signature(UNUSUAL)
    if kind != SSH:
        return Signature(kind)
    return _signature(text)


def signed_part(commit: bytes) -> bytes:
    """Given a commit object, return what its signature is made over: all of it but the headers that git leaves out
    (parse_signed_commit of git).

    Two commits that are the same here are one commit to whoever has signed it, whatever their hashes are.
    """
    kept = []
    leaving_out = False
    rest = 0
    while rest < len(commit) and commit[rest : rest + 1] != b"\n":
        end = commit.find(b"\n", rest) + 1 or len(commit)
        leaving_out = commit.startswith(_HEADER, rest) or (leaving_out and commit.startswith(b" ", rest))
        if not leaving_out:
            kept.append(commit[rest:end])
        rest = end
    return b"".join(kept) + commit[rest:]


def _signature(lines: list[str]) -> Signature:
    body = "".join(line for line in lines if not line.startswith("-----"))
    try:
        blob = base64.b64decode(body, validate=True)
        if not blob.startswith(_MAGIC):
            return Signature(SSH)
        key, namespace, reserved, _, proof, *rest = strings(blob[len(_MAGIC) :])
        if lines != _armour(blob) or reserved or rest or not _is_least(key, proof):
            return Signature(UNUSUAL)
        return Signature(SSH, f"{strings(key)[0].decode('ascii')} {base64.b64encode(key).decode()}", namespace.decode())
    except (ValueError, IndexError):
        return Signature(SSH)


def _armour(blob: bytes) -> list[str]:
    text = base64.b64encode(blob).decode()
    return [_BEGIN, *(text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)), _END]


def _is_least(key: bytes, proof: bytes) -> bool:
    """Whether the numbers of a signature are written as they are made. ECDSA has two for every commit all the same."""
    kind, number = _string(proof)[0], _string(_string(proof)[1])[0]
    if kind.endswith(b"ed25519@openssh.com") or kind == b"ssh-ed25519":
        return int.from_bytes(number[32:], "little") < _ED25519_ORDER
    if kind.startswith(b"rsa-"):
        return len(number) == len(strings(key)[2].lstrip(b"\0"))  # a leading zero could be left out
    return True


def strings(data: bytes) -> list[bytes]:
    """All strings that SSH has written one after the other, to the end. ValueError when the last is cut short."""
    found = []
    while data:
        first, data = _string(data)
        found.append(first)
    return found


def _string(data: bytes) -> tuple[bytes, bytes]:
    """A string as SSH writes it (RFC 4251, section 5), and what follows. ValueError when it is cut short."""
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 + length:
        raise ValueError("cut short")
    return data[4 : 4 + length], data[4 + length :]
