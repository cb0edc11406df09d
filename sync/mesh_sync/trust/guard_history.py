"""Whether commits that do something drastic carry the guard's trailer: the steps from one commit to another.

Each step is checked alone, so that many small changes do not stop a node that was away. The trailer is in the commit
that needs it, or in a later one. Where commits are signed, only an admin's trailer counts, and only an admin's commits
are steps: a node's key cannot do what the guard stops, and must not be what makes an admin's commit look drastic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise

from mesh_sync.errors import Cause, Refused
from mesh_sync.findings import errors
from mesh_sync.mesh import manifest
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.tree import MAX_FILE, Tree
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.trust import signature
from mesh_sync.trust.authorization import Commit, Untrusted
from mesh_sync.trust.git_history import commits, rules
from mesh_sync.trust.guard import REMOVE, TRAILER, Standing, standing, trips
from mesh_sync.trust.signers import Signer, Signers

MAX_STEPS = 100
"""Steps between applied and new that are checked one by one; beyond, only the newest one's trailer counts."""


def check(
    before: Standing, base: str | None, most: int, head: tuple[str, Mesh],
    moment: datetime, repository: GitObjects, tree: Callable[[str], Tree], own: Signers | None,
) -> tuple[str, ...]:  # fmt: skip
    """The kinds of what the guard would otherwise stop. Raise Refused when a trailer is missing.

    ``base`` is the commit of ``before``, None when it is gone; ``most`` its max_removed_peers. ``own``: the node's own
    allowed signers where commits are signed, and verified by now; None where every trailer counts.
    """
    name, mesh = head
    net = {trip.kind for trip in trips(before, standing(mesh, before.node, moment, before.own_keys), most)}
    if not net:
        return ()
    missing: dict[str, str] = {}  # what needs the trailer: the sentence about the step that does it
    way = _way(repository, base, name)
    unguarded = _by_nodes(repository, [base, *way], own) if own is not None and base else frozenset()
    since = base
    if len(way) - len(unguarded) > MAX_STEPS:
        way, since = [name], None
    position = before
    for commit in way:
        there = mesh if commit == name else _mesh(tree(commit))
        if there is None:
            continue  # its step is part of the next one
        reached = standing(there, position.node, moment, position.own_keys or before.own_keys)
        for trip in trips(position, reached, most) if commit not in unguarded else ():
            if trip.kind in net:
                remedy = f'if that is intended, its message needs the line "{TRAILER}: {trip.what}"'
                missing[trip.what] = f"commit {commit[:10]} {trip.does}; {remedy}"
        if missing:  # a later commit may allow it, so that no history has to be rewritten
            for what in _allowed(repository, commit, since, own):
                missing.pop(what, None)
        position, since = reached, commit
    if missing:
        hint = "or correct the list: take back what was not meant, and push"
        raise Refused("; ".join(missing.values()), hint=hint, cause=Cause.GUARD)
    if position.node in position.peers:  # step by step it was only renamed, and got a key that it had announced
        net.discard(REMOVE)
    return tuple(net)


def _way(repository: GitObjects, base: str | None, head: str) -> list[str]:
    """The commits from ``base`` to ``head``; only the head if none lead there. Of a merge, the way goes by its first
    parent that descends from ``base``.
    """
    if base is None or not repository.descends(head, base):
        return [head]
    words = ("rev-list", "--parents", "--ancestry-path", f"^{base}", head)
    parents = {name: others for name, *others in map(str.split, repository.git(*words).decode().split("\n")[:-1])}
    way: list[str] = []
    here = head
    while here != base:
        way.append(here)
        here = next(name for name in parents[here] if name == base or name in parents)
    return way[::-1]


def _mesh(tree: Tree) -> Mesh | None:
    mesh, findings = manifest.read(tree.manifests)
    return None if errors(findings) else mesh


def _allowed(repository: GitObjects, commit: str, before: str | None, own: Signers | None) -> frozenset[str]:
    """What the messages of a step's commits allow: its own, and those of the commits that a merge brings."""
    which = [commit, "--not", before] if before else ["--max-count=1", commit]
    form = f"--format=%x00%H%n%(trailers:key={TRAILER},valueonly,unfold)"
    printed = repository.git("-c", "trailer.separators=:", "log", form, *which).decode(errors="replace")
    trailers = {name: values for name, *values in (part.split("\n") for part in printed.split("\0")[1:])}
    if own is not None:
        try:
            by_admins = _by_admins(repository, commits(repository, commit, [before or f"{commit}^@"]), own)
        except Untrusted:  # beyond all measure
            return frozenset()
        trailers = {name: values for name, values in trailers.items() if name in by_admins}
    return frozenset(line.strip() for values in trailers.values() for line in values if line.strip())


def _by_nodes(repository: GitObjects, way: Sequence[str], own: Signers) -> frozenset[str]:
    """Those of the commits, each the child of the one before it, that a node's key has signed."""
    lists = rules(repository, way[:-1])
    keys = {name: signature.read(text or b"").key for name, text in repository.contents(way[1:], MAX_FILE)}
    found = set()
    for before, name in pairwise(way):
        signers = lists[before].signers or own
        if keys[name] in _keys(signers.entries) - _keys(signers.admins):
            found.add(name)
    return frozenset(found)


def _by_admins(repository: GitObjects, some: Sequence[Commit], own: Signers) -> frozenset[str]:
    """Those of the commits that an admin has signed, by the lists before them: a node's key lifts no guard."""
    lists = rules(repository, [name for commit in some for name in commit.parents])
    found = set()
    for commit in some:
        before = [lists[name].signers or own for name in commit.parents]
        named = [commit.key in _keys(signers.entries) for signers in before]
        as_admin = [commit.key in _keys(signers.admins) for signers in before]
        # root's own file counts for a key that the list does not name: after a lock-out
        if (as_admin and all(as_admin)) or (as_admin == named and commit.key in _keys(own.admins)):
            found.add(commit.name)
    return frozenset(found)


def _keys(entries: Sequence[Signer]) -> frozenset[str]:
    return frozenset(signer.key for signer in entries)
