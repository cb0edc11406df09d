"""Which of the commits that are verified is trusted from now on, when not all of a history is. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mesh_sync.trust.authorization import Commit, Lineage

Removal = tuple[str, str]
"""A commit, and a key that it has taken off the list."""


def newest(good: Sequence[Commit], lineage: Lineage, bases: Sequence[str], problem: str | None) -> str | None:
    """The last good commit that goes on from a base, with whose list history can go on, and which forgets no removal.

    Of those, a parent of the first ``problem``, if there is one: its list is what that commit may be waiting for.
    """
    fit = list(_fit(good, lineage, bases))
    above = lineage.by_name[problem].parents if problem and problem in lineage.by_name else ()
    wanted = [name for name in fit if name in above] or fit
    return wanted[-1] if wanted else (bases[0] if bases else None)


def revoked(lineage: Lineage) -> frozenset[str]:
    """The keys that what is applied has, and what is trusted beyond it has not any more."""
    trusted, *beside = [
        frozenset(line.key for line in base.signers.entries) if base.signers else frozenset() for base in lineage.bases
    ]
    return frozenset().union(*beside) - trusted


def _fit(good: Sequence[Commit], lineage: Lineage, bases: Sequence[str]) -> Iterator[str]:
    removals: dict[str, frozenset[Removal]] = {}
    for commit in good:
        removals[commit.name] = frozenset().union(
            *(removals.get(name, frozenset()) for name in commit.parents), _removals(commit, lineage)
        )
    everywhere = frozenset().union(*removals.values())
    gone = revoked(lineage)
    on = set(bases)
    for commit in good:
        if bases and not on.intersection(commit.parents):
            continue
        on.add(commit.name)
        elsewhere = {key for _, key in everywhere - removals[commit.name]}
        if lineage.is_sound(commit.name) and not (elsewhere | gone) & lineage.keys(commit.name):
            yield commit.name


def _removals(commit: Commit, lineage: Lineage) -> Iterator[Removal]:
    for name in commit.parents:
        if lineage.effective[name].signers is not lineage.effective[commit.name].signers:
            yield from ((commit.name, key) for key in lineage.keys(name) - lineage.keys(commit.name))
