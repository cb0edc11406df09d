"""How much the keys of nodes may add to the list before an admin signs above it. Pure.

Without a bound, one stolen node's key could make the history larger than any node takes. What an admin has signed above
does not count: that admin has seen it, and has left it there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from mesh_sync.trust.authorization import Commit

MOST_COMMITS = 50
"""Of one key; `rotate-key` makes two."""
MOST_BYTES = 256 * 1024
"""Of one key: its commits, and the files that they bring."""
REMEDY = "they count once an admin has signed a commit on top of them; or an admin pushes --force without them"


def tail(head: Commit, commits: Mapping[str, Commit], node_keys: Mapping[str, str]) -> tuple[Commit, ...]:
    """The commits of ``head``'s history, it included, that are above the newest one that no node's key claims to have
    signed, as far as they are among ``commits``. ``node_keys``: the principal of each node's key.
    """
    found = []
    here: Commit | None = head
    while here and here.key in node_keys and len(here.parents) == 1:
        found.append(here)
        here = commits.get(here.parents[0])
    return tuple(found)


def too_many(commits: Iterable[Commit], node_keys: Mapping[str, str]) -> str:
    """Which node's key has signed more of these commits than it may, as a sentence; empty if none has."""
    return _over(Counter(commit.key for commit in commits), MOST_COMMITS, "commits", node_keys)


def too_large(commits: Sequence[Commit], node_keys: Mapping[str, str]) -> str:
    """The same for the bytes of these commits, given with their edits."""
    sizes: Counter[str] = Counter()
    for commit in commits:
        sizes[commit.key] += commit.size + sum(len(edit.new or b"") for edit in commit.edits)
    return _over(sizes, MOST_BYTES, "bytes", node_keys)


def _over(counted: Counter[str], most: int, what: str, node_keys: Mapping[str, str]) -> str:
    for key, number in counted.items():
        if number > most:
            text = f"{node_keys[key]} has signed {number:,} {what} since the last commit of an admin"
            return f"{text}; {most:,} are taken: {REMEDY}"
    return ""
