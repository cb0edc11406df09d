"""What the nodes say now, asked by the list as it is committed: which commit each has applied, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cached_property

from attrs import frozen

from mesh_sync.fleet.by_list import look_by_list
from mesh_sync.fleet.compare import Fleet, Row, Standing
from mesh_sync.fleet.verify import Signature
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.trust import signers
from mesh_sync.workspace.committed import Committed
from mesh_sync.workspace.own_git import OwnGit
from mesh_sync.workspace.pairs import How, Pair


class Taken(Enum):
    """What a node has made of the newest commit."""

    REFUSED = "refused"
    BACK = "rolled-back"
    FAILED = "failed"
    DOUBTED = "doubted"
    """It answered, and what it said does not count."""
    SILENT = "silent"
    BEHIND = "behind"
    AHEAD = "ahead"
    """It is at a commit that is no part of the newest one's history."""
    TRIAL = "trial"
    DONE = "done"


ORDER = tuple(Taken)
"""Those first that need a look."""
_RESULTS = {"refused": Taken.REFUSED, "rolled-back": Taken.BACK, "failed": Taken.FAILED}
_STANDINGS = {
    Standing.CURRENT: Taken.DONE, Standing.DOUBTED: Taken.DOUBTED, Standing.SILENT: Taken.SILENT,
    Standing.AHEAD: Taken.AHEAD,
}  # fmt: skip


class Now(Enum):
    """How a pair of peers stands, as far as what nodes say tells it."""

    DIRECT = "direct"
    """One of the two has all its peers up, and none of them is relayed."""
    PASSES = "passes"
    """One of the two is this machine, and the other has answered it; through a relay, maybe."""
    SILENT = "silent"
    """One of the two is this machine, and the other has not answered it."""


@frozen(slots=False)
class FleetNow:
    """What was heard of all nodes, from this machine."""

    fleet: Fleet

    @property
    def asker(self) -> str:
        """The peer that this machine is."""
        return self.fleet.asker

    @property
    def newest(self) -> str:
        """The commit that nodes are measured by."""
        return self.fleet.newest or ""

    @cached_property
    def rows(self) -> dict[str, tuple[Row, Taken]]:
        """Each node by name, those first that need a look."""
        found = [(row, taken(row)) for row in self.fleet.rows]
        return {
            row.name: (row, what) for row, what in sorted(found, key=lambda one: (ORDER.index(one[1]), one[0].name))
        }

    @property
    def counts(self) -> dict[Taken, int]:
        """How many nodes made what of the newest commit."""
        return dict(Counter(what for _, what in self.rows.values()))

    @property
    def answered(self) -> int:
        """How many nodes but this one said what counts."""
        return sum(row.said is not None and row.name != self.asker for row in self.fleet.rows)

    @property
    def verified(self) -> int:
        """How many answers are signed with a key that the list names for the node."""
        return sum(row.said is not None and row.heard.signature is Signature.SIGNED for row in self.fleet.rows)

    @property
    def unverified(self) -> int:
        """How many answers count that are not."""
        return sum(row.said is not None for row in self.fleet.rows) - self.verified

    @property
    def is_done(self) -> bool:
        """Whether every node has the newest commit."""
        return self.fleet.is_current

    def pairs(self, name: str, listed: Iterable[Pair]) -> dict[str, Now]:
        """How the peer stands with each other one of which that is known; ``listed``: what the list says of its pairs.

        Those that the list leads through a third peer have no tunnel with each other that could be up.
        """
        third = {pair.other for pair in listed if pair.how is How.VIA}
        found = _pairs(self.fleet, name)
        return {other: now for other, now in found if now is not Now.DIRECT or other not in third}


def look(committed: Committed) -> FleetNow | None:
    """Ask the nodes of the list for two seconds; None where this machine is no peer of it, and nothing was asked.

    They are measured by what this clone knows of the branch at the git host; where it follows none, by its own commit.
    Raise MeshSyncError when git fails.
    """
    git, mesh, view = OwnGit(committed.directory), committed.mesh, committed.view
    newest = git.answers("rev-parse", "--verify", "--quiet", "@{upstream}^{commit}") or committed.commit
    listed = signers.parse(committed.tree.texts.get(SIGNERS_FILE, b""))[0]
    members = [peer for name, peer in mesh.peers.items() if view.is_member(name)]

    def is_older(commit: str) -> bool:
        return git.answers("merge-base", "--is-ancestor", commit, newest) is not None

    found = look_by_list(mesh, members, listed, newest, is_older)
    return FleetNow(found) if found else None


def taken(row: Row) -> Taken:
    """What a node has made of the commit that it is measured by."""
    if found := _STANDINGS.get(row.standing):
        return found
    said = row.said
    if said is None:
        return Taken.SILENT
    return Taken.TRIAL if said.trial else _RESULTS.get(said.result, Taken.BEHIND)


def _pairs(fleet: Fleet, name: str) -> Iterator[tuple[str, Now]]:
    """Nodes say how many of their peers are up, stale and relayed, and not which: what follows from that is known."""
    rows = {row.name: row for row in fleet.rows}
    for other in rows.keys() - {name}:
        if any(_is_whole(rows.get(one)) for one in (name, other)):
            yield other, Now.DIRECT
        elif fleet.asker in (name, other):
            far = rows.get(name if other == fleet.asker else other)
            if far is not None and far.standing is not Standing.DOUBTED:
                yield other, Now.SILENT if far.standing is Standing.SILENT else Now.PASSES


def _is_whole(row: Row | None) -> bool:
    """Whether a node says that it has all its peers up, each directly."""
    said = row.said if row else None
    return bool(said and said.up and not said.stale and not said.relayed)
