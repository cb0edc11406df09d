"""One commit that a remote offers: is it trusted, is it right, was it meant, and what does it make of this node."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from attrs import evolve, frozen

from mesh_sync.check.examine import examine
from mesh_sync.errors import CommandError, ConfigError, Reason, Refused
from mesh_sync.findings import Finding, errors
from mesh_sync.mesh import manifest
from mesh_sync.mesh.layout import peer_path
from mesh_sync.mesh.model import Guard, Mesh
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import with_own_key
from mesh_sync.node.state import State
from mesh_sync.preshared.secret_file import Source
from mesh_sync.repository.git_dir import GitDir
from mesh_sync.repository.remote import Remote
from mesh_sync.system.cpu_limit import CHECKING, spending
from mesh_sync.trust import guard_history
from mesh_sync.trust.guard import Standing, remembered, standing
from mesh_sync.trust.signers import Signers
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.keys import public_key, read_private_key

Note = Callable[[str], None]


@frozen
class Candidate:
    """What became of a commit: this node's interface, or a refusal; ``known`` has what is trusted now."""

    known: State
    result: Desired | Refused
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def look(node: Node, known: State, commit: str, remote: Remote, note: Note, *, fresh: bool) -> Candidate:
    """Judge a commit that the bare copy has. Raise CommandError when the copy is damaged.

    ``fresh``: the copy has just been made, so what is missing in it is nowhere.
    """
    repository = GitDir(remote.bare.place)
    if not fresh and (gone := [name for name in (known.trusted, known.commit) if name and not repository.has(name)]):
        text = f"commit {gone[0]} is missing in {remote.bare.place}"
        raise CommandError(text, program="git", reason=Reason.BAD_OUTPUT)
    if node.trust.mode == "signed":
        from mesh_sync.trust.verify_history import judge

        known, problem = judge(node, known, commit, repository, note)
        if problem:
            return Candidate(known, problem)
    try:
        desired, findings = _interface(node, known, commit, remote, repository)
    except Refused as problem:
        return Candidate(known, problem)
    return Candidate(known, desired, findings, _rewritten(known, commit, repository))


def _interface(
    node: Node, known: State, commit: str, remote: Remote, repository: GitDir
) -> tuple[Desired, tuple[Finding, ...]]:
    moment = datetime.now(UTC)
    tree = remote.bare.tree(commit)
    mesh, findings = examined(tree, commit, moment)
    if known.desired and known.commit:
        applied = _mesh(remote, known.commit)
        before = _before(known.desired, applied, node.name, moment)
        most = (applied.guard if applied else Guard()).max_removed_peers
        base = known.commit if repository.has(known.commit) else None
        own = _own_signers(node)
        allowed = guard_history.check(
            before, base, most, (commit, mesh), node.name, moment, repository, remote.bare.tree, own
        )
        if f"remove {node.name}" in allowed or not (_has(applied, node.name) or _has(mesh, node.name)):
            return left(known.desired), findings
    return interface(tree, mesh, node, commit, moment, findings), findings


def _own_signers(node: Node) -> Signers | None:
    """Root's own list, None where commits are not signed."""
    if node.trust.mode != "signed":
        return None
    from mesh_sync.trust.verify_history import own_signers

    return own_signers(node)


def _mesh(remote: Remote, commit: str) -> Mesh | None:
    """The applied mesh, None when its commit is gone: a branch that was rewritten, and a copy that was lost."""
    try:
        return manifest.read(remote.bare.tree(commit).manifests)[0]
    except CommandError:
        return None


def _before(desired: Desired, applied: Mesh | None, name: str, moment: datetime) -> Standing:
    return standing(applied, name, moment) if applied else remembered(desired)


def _has(mesh: Mesh | None, name: str) -> bool:
    """Whether the mesh has the node, be it expired or cut off."""
    return mesh is None or (name in mesh.peers and mesh.peers[name].enabled)


def _rewritten(known: State, commit: str, repository: GitDir) -> tuple[str, ...]:
    before = known.commit
    if before is None or not repository.has(before) or repository.descends(commit, before):
        return ()
    return (f"the branch was rewritten: {commit[:10]} does not descend from {before[:10]}",)


def accept(tree: Tree, node: Node, commit: str) -> tuple[Desired, tuple[Finding, ...]]:
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
) -> Desired:
    """This node's interface in ``mesh``. Refused when there is none, its key is another, or a secret is missing."""
    renderer = Renderer(mesh, moment)
    if node.name not in renderer.topology.members:
        reason = "is disabled, expired or cut off" if node.name in mesh.peers else "is not in the list"
        raise Refused(
            f"{node.name} {reason} at commit {commit[:10]}; its last applied state is kept", findings=findings
        )
    desired, private_key = _with_held_key(renderer.desired(node.name), node)
    return Source(node, tree.texts, private_key).keyed(desired, mesh)


def left(before: Desired) -> Desired:
    """The interface of a node that has left the mesh: it keeps its key, port and addresses, and reaches nobody."""
    nothing: frozenset[str] = frozenset()
    return evolve(before, peers=(), routes=nothing, relay=False, sysctls=nothing, firewall=nothing, valid_until=None)


def _with_held_key(desired: Desired, node: Node) -> tuple[Desired, str]:
    """The key of this machine must be one that the list names: anything else would cut it off. Return it, too."""
    desired = with_own_key(desired, node)
    try:
        private_key = read_private_key(node.private_key_file)
        held = public_key(private_key)
    except ConfigError as error:
        raise Refused(error.message, hint=error.hint) from None
    if held != desired.public_key:
        raise Refused(
            f"{peer_path(node.name)} has another public key than {node.private_key_file} belongs to",
            hint="correct the list, or put the private key that it names there: a commit from before a `rotate-key` "
            "names one that is gone",
        )
    return desired, private_key
