"""`mesh-sync check --since BASE`: why nodes would refuse the commits after BASE, before they are pushed.

Signatures and rights are verified as by a node in signed mode that trusts BASE, the guard as by every node that has
applied BASE. If BASE has no allowed_signers, only the guard counts. Admins who come and go are warnings in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from mesh_sync.check.signers import changed_admins
from mesh_sync.errors import Refused
from mesh_sync.findings import WARNING, Finding, errors
from mesh_sync.mesh import manifest
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.tree import Tree
from mesh_sync.trust import guard_history
from mesh_sync.trust.guard import standing
from mesh_sync.trust.signers import Signers
from mesh_sync.trust.verify_history import verify_clone
from mesh_sync.workspace.preview import commit_in, files_at

PLACE = "."
"""The file of a finding about the history."""


def refusals(directory: Path, base: str) -> tuple[Finding, ...]:
    """Given a clone, return why nodes would refuse to go from BASE to its HEAD, and the admins that come and go.

    git gives a BASE of zeros for the first push of a branch: there is nothing to compare with. Raise ConfigError for a
    bad BASE.
    """
    after = files_at(directory, "HEAD")
    before = files_at(directory, base) if base.strip("0") else Tree({})
    admins = changed_admins(before.texts.get(SIGNERS_FILE, b""), after.texts.get(SIGNERS_FILE, b""))
    if not base.strip("0"):
        return tuple(admins)
    return (*admins, *_signatures(directory, base, before, after), *_guard(directory, base, before, after))


def _signatures(directory: Path, base: str, before: Tree, after: Tree) -> Iterator[Finding]:
    if SIGNERS_FILE in before.texts:
        for problem in verify_clone(directory, base).problems:
            yield Finding(PLACE, "", problem)
    elif SIGNERS_FILE in after.texts:
        yield Finding(SIGNERS_FILE, "", f"is not in {base[:10]} yet: signatures count from the next push on", WARNING)


def _guard(directory: Path, base: str, before: Tree, after: Tree) -> Iterator[Finding]:
    old, new = _mesh(before), _mesh(after)
    if old is None or new is None:
        return
    moment = datetime.now(UTC)
    repository, first = commit_in(directory, base)
    last = commit_in(directory, "HEAD")[1]
    trees = cache(lambda commit: files_at(directory, commit))
    own = Signers() if SIGNERS_FILE in before.texts else None
    changed = [name for name, peer in old.peers.items() if new.peers.get(name) != peer]
    others = [name for name in old.peers if name not in set(changed)]
    most, said = old.guard.max_removed_peers, set()
    for node in (*changed, *others[:2]):  # the others all see the same
        applied = standing(old, node, moment)
        try:
            guard_history.check(applied, first, most, (last, new), moment, repository, trees, own)
        except Refused as problem:
            said.add(problem.message)
    yield from (Finding(PLACE, "", message) for message in sorted(said))


def _mesh(tree: Tree) -> Mesh | None:
    mesh, findings = manifest.read(tree.manifests)
    return None if errors((*tree.findings, *findings)) else mesh
