"""Why nodes would refuse a commit of a history, in a few words: for `mesh-sync log` and `blame`.

Each commit is looked at as the next one of a node that has all before it: who may sign is what its parents' lists say,
as on nodes, and the guard is asked about the peers that it touches. A merge brings its sides, and they are told of.
`check --since` tells of a whole push, by the limits of one run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from mesh_sync.findings import errors
from mesh_sync.mesh import manifest
from mesh_sync.mesh.list_changes import ListChange
from mesh_sync.mesh.model import Mesh
from mesh_sync.repository.git_objects import GitObjects, tree_at
from mesh_sync.trust.authorization import Commit, Rules
from mesh_sync.trust.git_edits import edits_of
from mesh_sync.trust.guard import TRAILER, standing, trips
from mesh_sync.trust.node_rights import forbidden
from mesh_sync.trust.signers import Signer

MESHES = 8
"""Lists that are kept as they were read: a commit's is that of the next one's parent."""
_DRASTIC = frozenset({"public_key", "enabled", "expires", "via"})
"""Keys with which a peer can leave the mesh, or be another machine."""
_TRAILER = re.compile(rf"{TRAILER}:(.*)", re.IGNORECASE)
Found = tuple[Commit, Sequence[Rules], tuple[ListChange, ...], str]
"""A commit, the rules at its parents (its own if it has none), what it changes, and its message."""


class NodeRefusals:
    """``of`` is given the commits of one history, the newest first: a later one may carry an earlier one's trailer."""

    def __init__(self, objects: GitObjects) -> None:
        self._objects = objects
        self._allowed = set[str]()
        self._mesh = lru_cache(MESHES)(self._read)

    def of(self, found: Sequence[Found], problems: Mapping[str, str]) -> dict[str, str]:
        """Why nodes would refuse each of them, by name; nothing of one that they would take.

        ``problems``: why no signature counts, of those where none does.
        """
        by_nodes = {
            commit.name: lines[0]
            for commit, lists, _, _ in found
            if not problems[commit.name] and commit.parents and (lines := _as_node(commit, lists))
        }
        edits = edits_of(self._objects, [one for one, *_ in found if one.name in by_nodes and len(one.parents) == 1])
        refused = {}
        for commit, lists, changes, message in found:
            listed = any(rules.signers for rules in lists)
            if not commit.parents:
                continue  # it begins the history: a person vouches for it, by the fingerprint
            if listed and (problem := problems[commit.name] or _expired(commit, lists)):
                refused[commit.name] = problem
            elif signer := by_nodes.get(commit.name):
                if problem := _beyond_rights(commit, lists, signer, edits.get(commit.name, ())):
                    refused[commit.name] = problem
            else:
                self._allowed |= _trailers(message)
                if missing := [what for what in self._needed(commit, changes) if what not in self._allowed]:
                    refused[commit.name] = f"no {', '.join(f'{TRAILER}: {what}' for what in missing)}"
        return refused

    def _needed(self, commit: Commit, changes: Sequence[ListChange]) -> Iterator[str]:
        """The trailers that the guard asks of a commit; only where what it changes can be drastic are lists read."""
        gone = {change.peer for change in changes if change.kind in ("left", "broken") or change.key in _DRASTIC}
        moved = {change.peer for change in changes if change.key == "endpoint"}
        if len(commit.parents) != 1 or not (gone or len(moved) > 1):
            return
        before, after = self._mesh(commit.parents[0]), self._mesh(commit.name)
        if before is None or after is None:
            return
        moment = datetime.fromtimestamp(commit.date, UTC)
        others = [name for name in before.peers if name not in gone]
        needed = dict[str, None]()
        for node in (*sorted(gone & before.peers.keys()), *others[:2]):  # the others all see the same
            now = standing(before, node, moment)
            later = standing(after, node, moment, now.own_keys)
            needed |= dict.fromkeys(trip.what for trip in trips(now, later, before.guard.max_removed_peers))
        yield from needed

    def _read(self, commit: str) -> Mesh | None:
        tree = tree_at(self._objects, commit)
        mesh, findings = manifest.read(tree.manifests)
        return None if errors((*tree.findings, *findings)) else mesh


def _lines(commit: Commit, lists: Sequence[Rules]) -> list[list[Signer]]:
    """The lines of the commit's key in each list."""
    return [[line for line in rules.signers.entries if line.key == commit.key] for rules in lists if rules.signers]


def _as_node(commit: Commit, lists: Sequence[Rules]) -> list[Signer]:
    """The lines of a list in which the commit's key is only a node's; empty if it is an admin's in all of them."""
    return next((lines for lines in _lines(commit, lists) if lines and all(line.is_node for line in lines)), [])


def _expired(commit: Commit, lists: Sequence[Rules]) -> str:
    moment = datetime.fromtimestamp(commit.date, UTC)
    for lines in _lines(commit, lists):
        if lines and all(line.problem_at(moment) for line in lines):
            return f"the key of {lines[0].principal} {lines[0].problem_at(moment)}"
    return ""


def _beyond_rights(commit: Commit, lists: Sequence[Rules], signer: Signer, edits: object) -> str:
    """What a node's key may not do."""
    node = signer.principal.partition("@")[0]
    if any(rules.signers and commit.key not in {line.key for line in rules.of(node)} for rules in lists):
        return f"the key of {signer.principal} belongs to no node of this mesh"
    if len(commit.parents) != 1:
        return f"{signer.principal} may not merge"
    if not isinstance(edits, tuple):
        return str(edits)
    extra = frozenset[str].intersection(*(rules.rights.grants(node) for rules in lists))
    problem = forbidden(node, edits, extra)
    return f"{signer.principal} may not {problem}" if problem else ""


def _trailers(message: str) -> set[str]:
    """What the last paragraph of a message allows (git-interpret-trailers(1))."""
    last = message.rstrip().rpartition("\n\n")[2]
    return {found[1].strip() for line in last.splitlines() if (found := _TRAILER.fullmatch(line))}
