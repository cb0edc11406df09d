"""Fingerprints of what a verdict depends on besides the commit: when one changes, the commit is judged again."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mesh_sync import __version__
from mesh_sync.node.config import Node


def trust_root(node: Node) -> str:
    """Digest of where trust begins on this node: when root changes that, trust begins again. Empty without trust."""
    if node.trust.mode != "signed":
        return ""
    try:
        own = node.trust.allowed_signers.read_bytes()
    except OSError:
        own = b""
    return _digest((own, node.trust.first_commit))


def fingerprint(node: Node) -> str:
    """Digest of all that shapes this node's interface besides the commit: its node.toml, key, secrets, and our version.

    Only whether the key and the secrets changed goes in, and nothing of them.
    """
    parts = (
        __version__, node.name, node.interface, (node.trust, trust_root(node)), node.repository.branch,
        _changed(node.private_key_file), node.mesh_secret_file, _changed(node.mesh_secret_file), node.accept_exit,
        node.machine,
    )  # fmt: skip
    return _digest(parts)


def _changed(path: Path | None) -> int:
    """When a file was changed last, its mode included."""
    try:
        return path.stat().st_ctime_ns if path else 0
    except OSError:
        return 0


def _digest(parts: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
