"""The commits that a node has applied, as far as it remembers them. Pure.

Those that stayed are a way: going back to one of them leaves those after it. So `rollback` goes back a step each time
it is called, and what did not stay takes no place from what did.
"""

from __future__ import annotations

from attrs import evolve, frozen

KEPT = 10
"""Commits that stayed, and as many that did not, which are remembered."""
STAYED = ("confirmed", "unconfirmed")


@frozen
class Past:
    """An applied commit of the past.

    ``ended``: `confirmed`, `unconfirmed` (it did not have to be), `rolled-back`, or `left` for an earlier one.
    """

    commit: str
    applied_at: float
    ended: str

    @property
    def stayed(self) -> bool:
        return self.ended in STAYED


History = tuple[Past, ...]


def entered(history: History, past: Past) -> History:
    """The history with one more entry. A commit that stayed before is there again: what came after it is left."""
    if past.stayed:
        before = [index for index, known in enumerate(history) if known.stayed and known.commit == past.commit]
        since = before[0] if before else len(history)
        history = tuple(
            evolve(known, ended="left") if known.stayed and index > since else known
            for index, known in enumerate(history)
            if index != since
        )
    return _bounded((*history, past))


def earlier(history: History, commit: str | None) -> str | None:
    """The commit to go back to from ``commit``, the applied one: of the state before it. None if there is none.

    A commit that changed nothing for this node is not in its history: its state is that of the last one that is.
    """
    way = [past.commit for past in history if past.stayed]
    here = way.index(commit) if commit in way else len(way) - 1
    return way[here - 1] if here > 0 else None


def _bounded(history: History) -> History:
    kept = [index for stayed in (True, False) for index in _last(history, stayed=stayed)]
    return tuple(history[index] for index in sorted(kept))


def _last(history: History, *, stayed: bool) -> list[int]:
    return [index for index, past in enumerate(history) if past.stayed is stayed][-KEPT:]
