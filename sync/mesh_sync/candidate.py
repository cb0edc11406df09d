"""One commit that a remote offers: is it trusted, is it right, was it meant, and what does it make of this node."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from attrs import frozen

from mesh_sync.accept import examined, interface, left
from mesh_sync.errors import CommandError, Refused
from mesh_sync.findings import Finding
from mesh_sync.interface.wanted import Wanted
from mesh_sync.mesh import manifest
from mesh_sync.mesh.model import Guard, Mesh
from mesh_sync.node import Node
from mesh_sync.repository.remote import Remote
from mesh_sync.state import State
from mesh_sync.trust import meant
from mesh_sync.trust.guard import Standing, remembered, standing
from mesh_sync.trust.signers import Signers
from mesh_sync.trust.verify import GitDir

Note = Callable[[str], None]


@frozen
class Candidate:
    """What became of a commit: this node's interface, or a refusal; ``known`` has what is trusted now."""

    known: State
    result: Wanted | Refused
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def look(node: Node, known: State, commit: str, remote: Remote, note: Note, *, fresh: bool) -> Candidate:
    """Judge a commit that the bare copy has. Raise CommandError when the copy is damaged.

    ``fresh``: the copy has just been made, so what is missing in it is nowhere.
    """
    repository = GitDir(remote.bare.place)
    if not fresh and (gone := [name for name in (known.trusted, known.commit) if name and not repository.has(name)]):
        raise CommandError(f"commit {gone[0]} is missing in {remote.bare.place}", program="git", status=None)
    if node.trust.mode == "signed":
        from mesh_sync.trust.judge import judge

        known, problem = judge(node, known, commit, repository, note)
        if problem:
            return Candidate(known, problem)
    try:
        wanted, findings = _interface(node, known, commit, remote, repository)
    except Refused as problem:
        return Candidate(known, problem)
    return Candidate(known, wanted, findings, _rewritten(known, commit, repository))


def _interface(
    node: Node, known: State, commit: str, remote: Remote, repository: GitDir
) -> tuple[Wanted, tuple[Finding, ...]]:
    moment = datetime.now(UTC)
    tree = remote.bare.tree(commit)
    mesh, findings = examined(tree, commit, moment)
    if known.wanted and known.commit:
        applied = _mesh(remote, known.commit)
        before = _before(known.wanted, applied, node.name, moment)
        most = (applied.guard if applied else Guard()).max_removed_peers
        base = known.commit if repository.has(known.commit) else None
        own = _own_signers(node)
        allowed = meant.check(before, base, most, (commit, mesh), node.name, moment, repository, remote.bare.tree, own)
        if f"remove {node.name}" in allowed or not (_has(applied, node.name) or _has(mesh, node.name)):
            return left(known.wanted), findings
    return interface(tree, mesh, node, commit, moment, findings), findings


def _own_signers(node: Node) -> Signers | None:
    """Root's own list, None where commits are not signed."""
    if node.trust.mode != "signed":
        return None
    from mesh_sync.trust.judge import own_signers

    return own_signers(node)


def _mesh(remote: Remote, commit: str) -> Mesh | None:
    """The applied mesh, None when its commit is gone: a branch that was rewritten, and a copy that was lost."""
    try:
        return manifest.read(remote.bare.tree(commit).manifests)[0]
    except CommandError:
        return None


def _before(wanted: Wanted, applied: Mesh | None, name: str, moment: datetime) -> Standing:
    return standing(applied, name, moment) if applied else remembered(wanted)


def _has(mesh: Mesh | None, name: str) -> bool:
    """Whether the mesh has the node, be it expired or cut off."""
    return mesh is None or (name in mesh.peers and mesh.peers[name].enabled)


def _rewritten(known: State, commit: str, repository: GitDir) -> tuple[str, ...]:
    before = known.commit
    if before is None or not repository.has(before) or repository.descends(commit, before):
        return ()
    return (f"the branch was rewritten: {commit[:10]} does not descend from {before[:10]}",)
