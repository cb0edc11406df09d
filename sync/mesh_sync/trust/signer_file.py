"""The text of `allowed_signers`, edited so that comments and order stay. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from mesh_sync.trust.signers import NAMESPACE, Signer

HEAD = """\
# Whose SSH keys may sign the commits of this mesh; one line each (ssh-keygen(1), ALLOWED SIGNERS).
# NAME@node.MESH is a node's key, good for its own file in peers/; every other is an admin's, good for everything.
# `mesh-sync signer` lists and edits them; docs/signers.md of mesh-sync says how to change keys without locking out.
"""


def line(principal: str, key: str, *, comment: str = "", valid_before: datetime | None = None) -> str:
    """One line: ``key`` is its type and its base64; the moment at which it ends is written in UTC."""
    options = f'namespaces="{NAMESPACE}"'
    if valid_before:
        options += f',valid-before="{valid_before.astimezone(UTC):%Y%m%d%H%M%S}Z"'
    return " ".join(filter(None, (principal, options, key, comment)))


def added(text: str, new: str) -> str:
    """Given the text of the file (empty: there is none yet), return it with the line ``new`` at its end."""
    if not text:
        return f"{HEAD}{new}\n"
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}{new}\n"


def without(text: str, gone: Collection[Signer]) -> str:
    """Given the text of the file, return it without these signers' lines."""
    lines = {signer.line for signer in gone}
    return "\n".join(kept for kept in text.split("\n") if kept.replace("\t", " ").strip() not in lines)
