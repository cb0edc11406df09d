"""What the nodes say now, asked by the list as it is committed: which commit each has applied, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from functools import cached_property

from attrs import frozen

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

    STALE = "stale"
    """One of the two does not hear the other, and no relay carries it."""
    RELAYED = "relayed"
    """One of the two says that a relay carries the other."""
    DIRECT = "direct"
    """One of the two says that the other is up, and not relayed."""
    PASSES = "passes"
    """One of the two is this machine, and the other has answered it; through a relay, maybe."""
    SILENT = "silent"
    """One of the two is this machine, and the other has not answered it."""


WORST = (Now.STALE, Now.RELAYED, Now.DIRECT)
"""Which of two words counts, where the two ends say different things."""


@frozen
class Meets:
    """How a pair stands. ``by``: which end says so, empty where that follows from an answer; ``since``: when it was
    heard last, or since when the peer ``relay`` carries the two: Unix seconds by that end's clock, or None.
    """

    now: Now
    by: str = ""
    since: float | None = None
    relay: str = ""


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

    def pairs(self, name: str, listed: Iterable[Pair]) -> dict[str, Meets]:
        """How the peer stands with each other one of which that is known; ``listed``: what the list says of its pairs.

        Those that the list leads through a third peer have no tunnel with each other that could be up.
        """
        found: dict[str, Meets] = {}
        for pair in listed:
            if (meets := self.pair(name, pair.other, has_tunnel=pair.how is not How.VIA)) is not None:
                found[pair.other] = meets
        return found

    def pair(self, one: str, other: str, *, has_tunnel: bool = True) -> Meets | None:
        """How two peers stand with each other; None where that is not known."""
        if has_tunnel:
            said = (self._said(one, other), self._said(other, one))
            if words := [meets for meets in said if meets]:
                worst = min(words, key=lambda meets: WORST.index(meets.now))
                return self._lost_behind(worst.relay, one, other) or worst
        if self.asker not in (one, other):
            return None
        far = self.rows.get(other if one == self.asker else one)
        if far is None or far[0].standing is Standing.DOUBTED:
            return None
        return Meets(Now.SILENT if far[0].standing is Standing.SILENT else Now.PASSES)

    def _lost_behind(self, relay: str, one: str, other: str) -> Meets | None:
        """That one of two peers is stale for the relay between them: then nothing passes by it, either."""
        said = [self._said(relay, end) for end in (one, other)] if relay else []
        return next((meets for meets in said if meets and meets.now is Now.STALE), None)

    def _said(self, name: str, peer: str) -> Meets | None:
        """What a node that can be believed says of another peer; None where it says nothing of it."""
        row, _ = self.rows.get(name, (None, None))
        if row is None or (said := row.said) is None:
            return None
        if apart := said.of(peer):
            return Meets(Now.RELAYED if apart.relay else Now.STALE, name, apart.since, apart.relay)
        return Meets(Now.DIRECT, name) if said.up and said.names_all else None

    @cached_property
    def named(self) -> tuple[tuple[str, str], ...]:
        """The pairs that are not up directly, as far as nodes name them, each once."""
        found = {
            (min(name, one.peer), max(name, one.peer))
            for name, (row, _) in self.rows.items() if row.said for one in row.said.not_direct
        }  # fmt: skip
        return tuple(sorted(found))

    def nat(self, name: str) -> str:
        """The class of the NAT before a node, as it says; empty where that is not known."""
        row, _ = self.rows.get(name, (None, None))
        return row.said.nat if row and row.said else ""


def look(committed: Committed) -> FleetNow | None:
    """Ask the nodes of the list for two seconds; None where this machine is no peer of it, and nothing was asked.

    They are measured by what this clone knows of the branch at the git host; where it follows none, by its own commit.
    Raise MeshSyncError when git fails.
    """
    from mesh_sync.fleet.by_list import look_by_list  # dnspython, 220 ms of processor time before the page is there

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
