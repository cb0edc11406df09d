"""Which verified commit a node trusts from now on, when not all of a history is verified. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mesh_sync.trust.authorization import Authorization, Commit

Removal = tuple[str, str]
"""A commit, and a key that it removes from the list."""


def trust_anchor(
    good: Sequence[Commit], authorization: Authorization, bases: Sequence[str], problem: str | None
) -> str | None:
    """The last good commit that descends from a base, has a sound list, and forgets no removal of a key.

    Preferably a parent of the first ``problem``: its list is what that commit may be waiting for.
    """
    fit = list(_fit(good, authorization, bases))
    above = authorization.by_name[problem].parents if problem and problem in authorization.by_name else ()
    preferred = [name for name in fit if name in above] or fit
    return preferred[-1] if preferred else (bases[0] if bases else None)


def revoked(authorization: Authorization) -> frozenset[str]:
    """The keys that the applied list has, and a newer trusted list has no more."""
    trusted, *beside = [
        frozenset(line.key for line in base.signers.entries) if base.signers else frozenset()
        for base in authorization.bases
    ]
    return frozenset().union(*beside) - trusted


def _fit(good: Sequence[Commit], authorization: Authorization, bases: Sequence[str]) -> Iterator[str]:
    removals: dict[str, frozenset[Removal]] = {}
    for commit in good:
        removals[commit.name] = frozenset().union(
            *(removals.get(name, frozenset()) for name in commit.parents), _removals(commit, authorization)
        )
    everywhere = frozenset().union(*removals.values())
    gone = revoked(authorization)
    on = set(bases)
    for commit in good:
        if bases and not on.intersection(commit.parents):
            continue
        on.add(commit.name)
        elsewhere = {key for _, key in everywhere - removals[commit.name]}
        if authorization.is_sound(commit.name) and not (elsewhere | gone) & authorization.keys(commit.name):
            yield commit.name


def _removals(commit: Commit, authorization: Authorization) -> Iterator[Removal]:
    for name in commit.parents:
        if authorization.effective[name].signers is not authorization.effective[commit.name].signers:
            yield from ((commit.name, key) for key in authorization.keys(name) - authorization.keys(commit.name))
