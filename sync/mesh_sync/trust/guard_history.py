"""Whether the commits that do what the guard stops say that they mean it: the steps from one commit to another.

Each step is judged alone, so that a node that was away for a while is not stopped by many small changes. The trailer
stands in the commit that needs it, or in one that comes after it. Where commits are signed, only an admin can mean it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from mesh_sync.errors import Refused
from mesh_sync.findings import errors
from mesh_sync.mesh import manifest
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.tree import Tree
from mesh_sync.repository.git_dir import GitDir
from mesh_sync.trust.authorization import Commit
from mesh_sync.trust.git_history import commits, rules
from mesh_sync.trust.guard import TRAILER, Standing, Trip, standing, trips
from mesh_sync.trust.signers import Signer, Signers

MAX_STEPS = 100
"""Commits between applied and new that are looked at one by one; beyond, the newest has to say it."""


def check(
    before: Standing, base: str | None, most: int, head: tuple[str, Mesh],
    node: str, moment: datetime, repository: GitDir, tree: Callable[[str], Tree], own: Signers | None,
) -> tuple[str, ...]:  # fmt: skip
    """What the guard would stop, and was meant: the values of the trailers. Raise Refused when one is missing.

    ``base`` is the commit of ``before``, None when it is gone; ``most`` its max_removed_peers. ``own``: the node's own
    allowed signers where commits are signed, which has been verified before; None where everybody's word counts.
    """
    name, mesh = head
    after = standing(mesh, node, moment)
    net = {trip.what: trip for trip in trips(before, after, node, most)}
    if not net:
        return ()
    missing: dict[str, str] = {}  # what needs the trailer: the sentence about the step that does it
    steps, since = _steps(repository, base, name)
    position = before
    for commit in steps:
        reached = after if commit == name else _standing(tree(commit), node, moment)
        if reached is None:
            continue  # no mesh there: its step is part of the next one
        for trip in trips(position, reached, node, most):
            if trip.what in net:
                missing[trip.what] = _sentence(commit, trip)
        if missing:  # a later commit may say it for an earlier one, so that nobody has to rewrite history
            for what in _allowed(repository, commit, since, own):
                missing.pop(what, None)
        position, since = reached, commit
    if missing:
        raise Refused("; ".join(missing.values()), hint="or put the list right; docs/trust.md explains the guard")
    return tuple(net)


def _sentence(commit: str, trip: Trip) -> str:
    return f'commit {commit[:10]} {trip.does}; if that is meant, its message needs the line "{TRAILER}: {trip.what}"'


def _steps(repository: GitDir, base: str | None, head: str) -> tuple[Sequence[str], str | None]:
    """The commits that lead from ``base`` to ``head``, and what they begin after.

    Just the head, after nothing, if they are too many or do not lead there.

    Where a merge comes together, the way goes by its first parent that descends from ``base``.
    """
    if base is None or not repository.descends(head, base):
        return [head], None
    words = ("rev-list", "--parents", "--ancestry-path", f"^{base}", head)
    parents = {name: others for name, *others in map(str.split, repository.git(*words).decode().splitlines())}
    way: list[str] = []
    here = head
    while here != base:
        way.append(here)
        here = next(name for name in parents[here] if name == base or name in parents)
        if len(way) > MAX_STEPS:
            return [head], None
    return way[::-1], base


def _standing(tree: Tree, node: str, moment: datetime) -> Standing | None:
    mesh, findings = manifest.read(tree.manifests)
    return None if mesh is None or errors(findings) else standing(mesh, node, moment)


def _allowed(repository: GitDir, commit: str, before: str | None, own: Signers | None) -> frozenset[str]:
    """What the messages of a step's commits allow: its own, and those of the commits that a merge brings."""
    which = [commit, "--not", before] if before else ["--max-count=1", commit]
    form = f"--format=%x00%H%n%(trailers:key={TRAILER},valueonly,unfold)"
    printed = repository.git("-c", "trailer.separators=:", "log", form, *which).decode(errors="replace")
    said = {name: values for name, *values in map(str.splitlines, printed.split("\0")[1:])}
    if own is not None:
        meant = _by_admins(repository, commits(repository, commit, [before or f"{commit}^@"]), own)
        said = {name: values for name, values in said.items() if name in meant}
    return frozenset(line.strip() for values in said.values() for line in values if line.strip())


def _by_admins(repository: GitDir, some: Sequence[Commit], own: Signers) -> frozenset[str]:
    """Those of the commits that an admin has signed, by the lists before them: a node's key lifts no guard."""
    lists = rules(repository, [name for commit in some for name in commit.parents])
    found = set()
    for commit in some:
        before = [lists[name].signers or own for name in commit.parents]
        named = [commit.key in _keys(signers.entries) for signers in before]
        as_admin = [commit.key in _keys(signers.admins) for signers in before]
        # root's own word on an admin counts where the list says nothing of that key: after everybody was locked out
        if (as_admin and all(as_admin)) or (as_admin == named and commit.key in _keys(own.admins)):
            found.add(commit.name)
    return frozenset(found)


def _keys(entries: Sequence[Signer]) -> frozenset[str]:
    return frozenset(signer.key for signer in entries)
