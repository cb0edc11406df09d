"""From the files of a commit to the interface that it asks of this node, or to a refusal that says why not."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve

from mesh_sync.check.examine import examine
from mesh_sync.errors import Cause, ConfigError, Refused
from mesh_sync.findings import Finding, errors
from mesh_sync.mesh.layout import peer_path
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import KeyFiles, with_own_key
from mesh_sync.preshared.secret_file import Source
from mesh_sync.reconcile.own_name import own_name
from mesh_sync.repository.git_objects import GitObjects, tree_at
from mesh_sync.system.cpu_limit import CHECKING, spending
from mesh_sync.wireguard import psk_rollover
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.keys import public_key


def desired_at(node: Node, commit: str, repository: GitObjects, moment: datetime) -> Desired:
    """This node's interface at a commit that was accepted before. Raise Refused, or CommandError for a damaged copy."""
    tree = tree_at(repository, commit)
    mesh, findings = mesh_at(tree, commit, moment)
    name = own_name(node, mesh, commit, repository)
    return interface(tree, mesh, evolve(node, name=name), commit, moment, findings)


@spending(CHECKING, "the commit")
def mesh_at(tree: Tree, commit: str, moment: datetime) -> tuple[Mesh, tuple[Finding, ...]]:
    """Given the files of ``commit``, return the mesh and the warnings. Raise Refused when there are errors."""
    mesh, findings = examine(tree, moment)
    wrong = errors(findings)
    if wrong or mesh is None:
        count = f"{len(wrong)} error" + "s" * (len(wrong) != 1)
        text, hint = f"commit {commit[:10]} has {count}", "`mesh-sync check` shows the same"
        raise Refused(text, findings=findings, hint=hint, cause=Cause.INVALID)
    return mesh, findings


@spending(CHECKING, "the commit")
def interface(
    tree: Tree, mesh: Mesh, node: Node, commit: str, moment: datetime, findings: tuple[Finding, ...] = ()
) -> Desired:
    """This node's interface in ``mesh``. Refused when there is none, its key is another, or a secret is missing; also
    where the list says which machine the node is on, and node.toml does not say which one this is.

    It goes on from what was confirmed last: a preshared key that pairs still need is held over.
    """
    renderer = Renderer(mesh, moment)
    if node.name not in renderer.topology.members:
        reason = "is disabled, expired or cut off" if node.name in mesh.peers else "is not in the list"
        text = f"{node.name} {reason} at commit {commit[:10]}; its last applied state is kept"
        raise Refused(text, findings=findings, cause=Cause.NOT_LISTED)
    desired, private_keys = _with_held_key(renderer.desired(node.name), node)
    if desired.machine and not node.machine:
        text = f"{peer_path(node.name)} has {node.name} on the machine {desired.machine}"
        raise Refused(text, hint='say in node.toml which one this is: machine = "NAME"')
    if desired.is_elsewhere(node.machine):
        return evolve(left(desired), addresses=frozenset())
    desired = Source(node, tree.texts, private_keys).keyed(desired, mesh)
    by_hand = {name for name, peer in mesh.peers.items() if not peer.managed}
    before = states.load(node.state_file).last_confirmed.desired
    return psk_rollover.held_over(desired, before, by_hand, moment.timestamp())


def left(before: Desired) -> Desired:
    """The interface of a node that has left the mesh: it keeps its key, port and addresses, and has no peer."""
    nothing: frozenset[str] = frozenset()
    without = evolve(before, peers=(), routes=nothing, exit_routes=nothing, covering=nothing)
    without = evolve(without, valid_until=None, valid_from=None)
    without = evolve(without, relay=False, relays=nothing, gateways=())
    return evolve(without, sysctls=nothing, firewall=nothing, subnets=nothing, translated=frozenset(), passages=nothing)


def _with_held_key(desired: Desired, node: Node) -> tuple[Desired, tuple[str, ...]]:
    """The key of this machine must be one that the list names: any other would cut it off. Return it, too, and the one
    before while that is kept.
    """
    desired = with_own_key(desired, node)
    try:
        private_keys = KeyFiles(node.private_key_file).private
        held = public_key(private_keys[0])
    except ConfigError as error:
        raise Refused(error.message, hint=error.hint, cause=Cause.KEY) from None
    if held != desired.public_key:
        raise Refused(
            f"{peer_path(node.name)} has another public key than {node.private_key_file} belongs to",
            hint="correct the list, or put the private key that it names there: a commit from before a `rotate-key` "
            "names one that is gone",
            cause=Cause.KEY,
        )
    return desired, private_keys
