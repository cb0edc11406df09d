"""Which node has applied what, measured by the newest commit that this node knows of or that most nodes have. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

from attrs import asdict, frozen

from mesh_sync.fleet.verify import Heard
from mesh_sync.node.config import Node
from mesh_sync.node.state import State
from mesh_sync.node.statement import Statement

SAID = (
    "commit", "since", "trial", "version", "result", "cause", "ran", "up", "stale", "relayed", "new", "nat",
    "moment",
)  # fmt: skip
"""What `fleet --json` tells of a statement."""


class Standing(Enum):
    """How a node stands to the newest commit."""

    CURRENT = "current"
    LAGS = "lags"
    AHEAD = "ahead"
    """It is at a commit that this node has not got."""
    SILENT = "silent"
    DOUBTED = "doubted"
    """It answered, and what it said does not count."""


@frozen
class Row:
    """One node, and what it said."""

    heard: Heard
    standing: Standing

    @property
    def name(self) -> str:
        return self.heard.name

    @property
    def said(self) -> Statement | None:
        """What it said, unless that cannot be believed."""
        return None if self.heard.doubt else self.heard.statement

    def as_json(self) -> dict[str, Any]:
        said, heard = self.said, self.heard
        return {
            "name": heard.name,
            "standing": self.standing.value,
            "doubt": heard.doubt.value if heard.doubt else None,
            "signature": heard.signature.value if heard.signature else None,
            **{name: getattr(said, name, None) for name in SAID},
            "not_direct": [asdict(one) for one in said.not_direct] if said else [],
        }


@frozen
class Fleet:
    """All nodes as ``asker`` sees them; ``newest``: the commit that they are measured by."""

    asker: str
    newest: str | None
    rows: tuple[Row, ...]

    @property
    def is_current(self) -> bool:
        """Whether every node has the newest commit."""
        return all(row.standing is Standing.CURRENT for row in self.rows)

    def names(self, standing: Standing) -> tuple[str, ...]:
        return tuple(row.name for row in self.rows if row.standing is standing)

    def as_json(self) -> dict[str, Any]:
        counts = {standing.value: len(self.names(standing)) for standing in Standing}
        rows = [row.as_json() for row in self.rows]
        return {"node": self.asker, "newest": self.newest, "counts": counts, "nodes": rows}


def trusted_head(state: State, node: Node, *, anchor_is_newer: bool) -> str | None:
    """The newest commit that this node would apply, as far as it knows.

    ``anchor_is_newer``: whether the newest trusted commit of an admin descends from the one that is confirmed.
    """
    confirmed, remote = state.last_confirmed.commit, state.remote
    if node.trust.mode == "signed":
        return remote.trusted.commit if remote.trusted and anchor_is_newer else confirmed
    return confirmed if remote.commit is None or remote.refusal else remote.commit


def most_have(found: Sequence[Heard]) -> str | None:
    """The commit that more than half of the nodes have that can be believed; None where there is no such."""
    commits = Counter(each.statement.commit for each in found if each.statement and not each.doubt)
    [(commit, number)] = commits.most_common(1) or [(None, 0)]
    return commit if 2 * number > commits.total() else None


def compared(asker: str, newest: str | None, found: Iterable[Heard], known: frozenset[str]) -> Fleet:
    """Given what was heard of each node, return how they stand to ``newest``; ``known``: commits that are not newer."""
    rows = (Row(each, _standing(each, newest, known)) for each in found)
    return Fleet(asker, newest, tuple(sorted(rows, key=lambda row: row.name)))


def _standing(heard: Heard, newest: str | None, known: frozenset[str]) -> Standing:
    if heard.doubt:
        return Standing.DOUBTED
    if heard.statement is None:
        return Standing.SILENT
    commit = heard.statement.commit
    if commit == newest:
        return Standing.CURRENT
    return Standing.LAGS if commit is None or commit in known else Standing.AHEAD
