"""The node's own signature over what it says of itself, made by ssh-keygen with the node's signing key."""

from __future__ import annotations

from mesh_sync.node.config import Node
from mesh_sync.node.statement import NAMESPACE
from mesh_sync.system.run import run

DEADLINE = 5.0
"""Seconds for one signature, which takes some milliseconds."""


def signature(node: Node, line: str) -> str:
    """The signature in base64; empty where the node has no signing key. Raise CommandError when it cannot sign."""
    if not node.signing_key_file.exists():
        return ""
    key = str(node.signing_key_file)
    armoured = run(["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key], input=line, deadline=DEADLINE)
    return "".join(part for part in armoured.split("\n") if not part.startswith("-----"))
