"""What the signature of a commit says of itself: which key made it, for what, and over what. Pure; nothing is proven.

It chooses the line that the commit then has to be verified with, and words the refusal.
"""

from __future__ import annotations

import hashlib
import re

from attrs import frozen

from mesh_sync.trust import sshsig

SSH = "SSH"
_KINDS = {
    b"-----BEGIN SSH SIGNATURE-----": SSH,
    b"-----BEGIN PGP SIGNATURE-----": "OpenPGP",
    b"-----BEGIN PGP MESSAGE-----": "OpenPGP",
    b"-----BEGIN SIGNED MESSAGE-----": "X.509",
}
UNUSUAL = "a form that ssh-keygen does not write"
"""The kind of a signature that would verify, but of which anybody could make another for the same commit."""
UNTOUCHED = "a security key that was not touched"
"""The kind of a signature that a program can have made while its owner was away."""
_HEADER = b"gpgsig"
"""git takes every header that begins so out of what is signed: one more changes the hash and not the signature."""
_NAMESPACE = b"git"
_HEAD = re.compile(
    rb"tree [0-9a-f]{40}\n(?:parent [0-9a-f]{40}\n)*author [^\0\n]*\n"
    rb"committer [^\0\n<>]*<[^\0\n<>]*> ([1-9][0-9]{0,9}) [+-][0-9]{4}(?:\n[^\0]*)?"
)
"""How git begins a commit: with who committed it and when, in seconds since 1970; and no NUL, where its search ends."""


@frozen
class Ed25519:
    """All that it takes to verify an Ed25519 signature but the key. ``message``: its 64 bytes, and what they have to be
    made over; ``date``: when the commit says that it was made, in seconds since 1970; ``name``: that of the object, as
    its content makes it.
    """

    message: bytes
    date: int
    name: bytes


@frozen
class Signature:
    """``kind``: SSH, another's name, or empty for none. ``key``: `TYPE BASE64` of the SSH key; empty if unreadable.

    ``signed``: the SHA-256 of the commit's `signed_part`, in hexadecimal; every commit has it, signed or not.
    ``ed25519``: where this program can verify it; it holds no more of the commit than that, so that many can be kept.
    """

    kind: str = ""
    key: str = ""
    namespace: str = ""
    signed: str = ""
    ed25519: Ed25519 | None = None


def read(commit: bytes) -> Signature:
    """Given a commit object as git keeps it, return what its signature says.

    Only what git and ssh-keygen write is SSH's; everything else that they would take for the same is `UNUSUAL`.
    """
    part = signed_part(commit)
    signed = hashlib.sha256(part).hexdigest()
    kind, lines = _found(commit)
    if kind != SSH:
        return Signature(kind, signed=signed)
    try:
        found = sshsig.read(lines)
        if not found or not found.is_plain():
            return Signature(UNUSUAL, signed=signed)
        if found.is_untouched():
            return Signature(UNTOUCHED, signed=signed)
        return Signature(SSH, found.key_text, found.namespace.decode(), signed, _ed25519(found, part, commit))
    except (ValueError, IndexError):
        return Signature(SSH, signed=signed)


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


def _found(commit: bytes) -> tuple[str, list[bytes]]:
    """The kind of the first signature, and its lines; one of SSH has to be the last header, and the only one."""
    head = commit.partition(b"\n\n")[0].split(b"\n")
    place = next((number for number, line in enumerate(head) if line.startswith(_HEADER)), None)
    if place is None:
        return "", []
    name, _, first = head[place].partition(b" ")
    more = head[place + 1 :]
    kind = _KINDS.get(first, "an unknown kind")
    if kind == SSH and (name != _HEADER or not all(line.startswith(b" ") for line in more)):
        return UNUSUAL, []
    return kind, [first, *(line[1:] for line in more)]


def _ed25519(found: sshsig.SshSignature, part: bytes, commit: bytes) -> Ed25519 | None:
    """What to verify, when the key is one of that type, and git surely reads the same in the commit's headers."""
    if sshsig.string(found.key)[0] != sshsig.ED25519:
        return None
    head = _HEAD.fullmatch(part.partition(b"\n\n")[0])
    name = hashlib.sha1(b"commit %d\0" % len(commit) + commit, usedforsecurity=False).digest()
    return Ed25519(found.signed_message(_NAMESPACE, part), int(head[1]), name) if head else None
