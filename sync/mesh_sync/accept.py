"""From a commit to the interface this node should have, or to a refusal that says why not."""

from __future__ import annotations

from datetime import UTC, datetime

from attrs import evolve

from mesh_sync.budget import CHECKING, spending
from mesh_sync.errors import ConfigError, Refused
from mesh_sync.findings import Finding, errors
from mesh_sync.interface.wanted import Wanted
from mesh_sync.keys import public_key, read_private_key
from mesh_sync.mesh.checks import examine
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from mesh_sync.node import Node
from mesh_sync.psk.secret_file import Source
from mesh_sync.rekey.own_key import with_own_key


def accept(tree: Tree, node: Node, commit: str) -> tuple[Wanted, tuple[Finding, ...]]:
    """Given the files of ``commit``, return this node's interface and the warnings. Raise Refused."""
    moment = datetime.now(UTC)
    mesh, findings = examined(tree, commit, moment)
    return interface(tree, mesh, node, commit, moment, findings), findings


@spending(CHECKING, "the commit")
def examined(tree: Tree, commit: str, moment: datetime) -> tuple[Mesh, tuple[Finding, ...]]:
    """Given the files of ``commit``, return the mesh and the warnings. Raise Refused when there are errors."""
    mesh, findings = examine(tree, moment)
    wrong = errors(findings)
    if wrong or mesh is None:
        count = f"{len(wrong)} error" + "s" * (len(wrong) != 1)
        raise Refused(f"commit {commit[:10]} has {count}", findings=findings, hint="`mesh-sync check` shows the same")
    return mesh, findings


@spending(CHECKING, "the commit")
def interface(
    tree: Tree, mesh: Mesh, node: Node, commit: str, moment: datetime, findings: tuple[Finding, ...] = ()
) -> Wanted:
    """This node's interface in ``mesh``. Refused when there is none, its key is another, or a secret is missing."""
    renderer = Renderer(mesh, moment)
    if node.name not in renderer.topology.members:
        reason = "is disabled, expired or cut off" if node.name in mesh.peers else "is not in the list"
        raise Refused(
            f"{node.name} {reason} at commit {commit[:10]}; its last applied state is kept", findings=findings
        )
    wanted, private_key = _with_held_key(renderer.wanted(node.name), node)
    return Source(node, tree.texts, private_key).keyed(wanted, mesh)


def left(before: Wanted) -> Wanted:
    """The interface of a node that has left the mesh: it keeps its key, port and addresses, and reaches nobody."""
    nothing: frozenset[str] = frozenset()
    return evolve(before, peers=(), routes=nothing, relay=False, sysctls=nothing, firewall=nothing, valid_until=None)


def _with_held_key(wanted: Wanted, node: Node) -> tuple[Wanted, str]:
    """The key of this machine must be one that the list names: anything else would cut it off. Return it, too."""
    wanted = with_own_key(wanted, node)
    try:
        private_key = read_private_key(node.private_key_file)
        held = public_key(private_key)
    except ConfigError as error:
        raise Refused(error.message, hint=error.hint) from None
    if held != wanted.public_key:
        raise Refused(
            f"peers/{node.name}.toml has another public key than {node.private_key_file} belongs to",
            hint="correct the list, or put the private key that it names there: a commit from before a `rotate-key` "
            "names one that is gone",
        )
    return wanted, private_key
