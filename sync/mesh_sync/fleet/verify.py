"""What a node has said of itself, and whether it can be believed. Pure.

An answer comes out of the tunnel from the node's own address, but a peer that is relayed is heard through another one,
and that one could say anything: a node whose key `allowed_signers` names has to have signed.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum

from attrs import frozen
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from mesh_sync.node.statement import LARGEST, NAMESPACE, Statement, parted, read
from mesh_sync.trust import sshsig
from mesh_sync.trust.signers import Signer

FRESH = 60.0
"""Seconds by which the moment of a statement may differ from this machine's clock."""


class Signature(Enum):
    """``UNLISTED``: it is signed, and the list names no key of this node to compare with."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"
    UNLISTED = "unlisted"
    WRONG = "wrong"


class Doubt(Enum):
    """Why what was said does not count."""

    UNREADABLE = "unreadable"
    """It is no statement."""
    MISNAMED = "misnamed"
    """It is about another node, or of another mesh."""
    UNSIGNED = "unsigned"
    """It has no signature, and the list names a key of this node."""
    FORGED = "forged"
    """No valid key that the list names has signed it."""
    OLD = "old"
    """It was said at another time: it is repeated, or a clock is wrong."""


@frozen
class Heard:
    """What came of asking the node ``name``: nothing where ``statement`` and ``doubt`` are None."""

    name: str
    statement: Statement | None = None
    signature: Signature | None = None
    doubt: Doubt | None = None


def heard(name: str, sent: bytes | None, mesh: str, keys: Sequence[Signer], moment: float) -> Heard:
    """Given what was sent from the address of the node ``name`` (None: nothing), return what to make of it.

    ``keys``: the lines that the list has for the node; ``moment``: Unix seconds.
    """
    if sent is None:
        return Heard(name)
    line, encoded = parted(sent)
    try:
        if len(sent) > LARGEST:
            raise ValueError("too large")
        said = read(line)
    except ValueError:
        return Heard(name, doubt=Doubt.UNREADABLE)
    signature = _signature(line, encoded, keys, moment)
    return Heard(name, said, signature, _doubt(said, signature, name, mesh, keys, moment))


def _doubt(
    said: Statement, signature: Signature, name: str, mesh: str, keys: Sequence[Signer], moment: float
) -> Doubt | None:
    if (said.node, said.mesh) != (name, mesh):
        return Doubt.MISNAMED
    if signature is Signature.WRONG:
        return Doubt.FORGED
    if signature is Signature.UNSIGNED and keys:
        return Doubt.UNSIGNED
    return Doubt.OLD if abs(said.moment - moment) > FRESH else None


def _signature(line: bytes, encoded: bytes, keys: Sequence[Signer], moment: float) -> Signature:
    """Only Ed25519 is verified: what `join` makes."""
    if not encoded:
        return Signature.UNSIGNED
    if not keys:
        return Signature.UNLISTED
    try:
        found = sshsig.of_blob(base64.b64decode(encoded, validate=True))
        if found is None or not found.is_plain():
            return Signature.WRONG
        now = datetime.fromtimestamp(moment, UTC)
        if not any(key.key == found.key_text and not key.problem_at(now) for key in keys):
            return Signature.WRONG
        if sshsig.string(found.key)[0] != sshsig.ED25519:
            return Signature.WRONG
        crypto_sign_open(found.signed_message(NAMESPACE.encode(), line), found.key[-32:])
    except (BadSignatureError, ValueError, IndexError):
        return Signature.WRONG
    return Signature.SIGNED
