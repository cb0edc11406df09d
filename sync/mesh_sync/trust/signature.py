"""What the signature of a commit says of itself: which key made it, and for what. Pure; nothing here is proven.

It chooses the line that ssh-keygen then has to verify the commit with, and words the refusal.
"""

from __future__ import annotations

import base64
import binascii

from attrs import frozen

SSH = "SSH"
_KINDS = {
    "-----BEGIN SSH SIGNATURE-----": SSH,
    "-----BEGIN PGP SIGNATURE-----": "OpenPGP",
    "-----BEGIN PGP MESSAGE-----": "OpenPGP",
    "-----BEGIN SIGNED MESSAGE-----": "X.509",
}
_HEADERS = ("gpgsig ", "gpgsig-sha256 ")
_MAGIC = b"SSHSIG\x00\x00\x00\x01"
"""How an SSH signature begins (PROTOCOL.sshsig of OpenSSH): magic preamble and version."""


@frozen
class Signature:
    """``kind``: SSH, another's name, or empty for none. ``key``: `TYPE BASE64` of the SSH key; empty if unreadable."""

    kind: str = ""
    key: str = ""
    namespace: str = ""


def read(commit: bytes) -> Signature:
    """Given a commit object as git keeps it, return what its signature says."""
    head = commit.partition(b"\n\n")[0].decode(errors="replace").split("\n")
    for number, line in enumerate(head):
        if line.startswith(_HEADERS):
            lines = [line.partition(" ")[2]]
            for more in head[number + 1 :]:
                if not more.startswith(" "):
                    break
                lines.append(more[1:])
            return _signature(lines)
    return Signature()


def _signature(lines: list[str]) -> Signature:
    kind = _KINDS.get(lines[0], "an unknown kind")
    if kind != SSH:
        return Signature(kind)
    body = "".join(line for line in lines if not line.startswith("-----"))
    try:
        blob = base64.b64decode(body, validate=True)
        if not blob.startswith(_MAGIC):
            return Signature(SSH)
        key, rest = _string(blob[len(_MAGIC) :])
        namespace, _ = _string(rest)
        name, _ = _string(key)
        return Signature(SSH, f"{name.decode('ascii')} {base64.b64encode(key).decode()}", namespace.decode())
    except (binascii.Error, ValueError):
        return Signature(SSH)


def _string(data: bytes) -> tuple[bytes, bytes]:
    """A string as SSH writes it (RFC 4251, section 5), and what follows. ValueError when it is cut short."""
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 + length:
        raise ValueError("cut short")
    return data[4 : 4 + length], data[4 + length :]
