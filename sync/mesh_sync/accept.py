"""From a commit to the interface this node should have, or to a refusal that says why not."""

from __future__ import annotations

from datetime import UTC, datetime

from mesh_sync.checks import examine
from mesh_sync.errors import ConfigError, Refused
from mesh_sync.findings import Finding, errors
from mesh_sync.keys import public_key, read_private_key
from mesh_sync.node import Node
from mesh_sync.render import Renderer
from mesh_sync.tree import Tree
from mesh_sync.wanted import Wanted


def accept(tree: Tree, node: Node, commit: str) -> tuple[Wanted, tuple[Finding, ...]]:
    """Given the files of ``commit``, return this node's interface and the warnings. Raise Refused."""
    moment = datetime.now(UTC)
    mesh, findings = examine(tree, moment)
    wrong = errors(findings)
    if wrong or mesh is None:
        count = f"{len(wrong)} error" + "s" * (len(wrong) != 1)
        raise Refused(f"commit {commit[:10]} has {count}", findings=findings, hint="`mesh-sync check` shows the same")
    renderer = Renderer(mesh, moment)
    if node.name not in renderer.topology.members:
        reason = "is disabled, expired or cut off" if node.name in mesh.peers else "is not in the list"
        raise Refused(
            f"{node.name} {reason} at commit {commit[:10]}; its last applied state is kept", findings=findings
        )
    wanted = renderer.wanted(node.name)
    _hold_key(node, wanted)
    return wanted, findings


def _hold_key(node: Node, wanted: Wanted) -> None:
    """The key of the list must be the one of this machine: anything else would cut it off."""
    try:
        held = public_key(read_private_key(node.private_key_file))
    except ConfigError as error:
        raise Refused(error.message, hint=error.hint) from None
    if held != wanted.public_key:
        raise Refused(
            f"peers/{node.name}.toml has another public key than {node.private_key_file} belongs to",
            hint="put the new private key there first, or correct the list",
        )
