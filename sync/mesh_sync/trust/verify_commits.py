"""The verification of new commits, parents first: each signature, what a node's key changes, and the last list."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from attrs import evolve, frozen

from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.system.at_once import at_once
from mesh_sync.system.cpu_limit import CHECKING
from mesh_sync.trust import git_history, quota
from mesh_sync.trust.authorization import Authorization, Commit, Untrusted, trust_anchor
from mesh_sync.trust.commit_signature import is_signed
from mesh_sync.trust.git_edits import edits_of

SECONDS = 60.0
"""How long one run verifies; what it has verified by then is remembered, and the next run continues there."""
THREADS = 4
AT_ONCE = 8 * THREADS
"""Commits whose lists and edits are read together at first; twice as many after each time, as long as all count."""
MOST_AT_ONCE = 8 * AT_ONCE
MOST_PROBLEMS = 100
"""After so many bad commits in a push, the rest is not looked at."""
WAY_OUT = "what an admin has signed before it is applied, the rest once the branch is corrected"

Note = Callable[[str], None]


@frozen
class Verification:
    """What of a history is verified. ``trusted``: the newest commit that a node may trust, with all before it.

    ``reached``: the newest commit above it that is verified, if only nodes have signed in between. ``problems``: a
    sentence for each commit that does not count, and for a limit that was reached. ``verified``: how many commits
    count. ``lasting``: another run would find the same; not after the time limit, or where the clock matters.
    """

    trusted: str | None
    reached: str | None = None
    problems: tuple[str, ...] = ()
    verified: int = 0
    lasting: bool = True
    hint: str = WAY_OUT


def verify_commits(
    repository: GitObjects, authorization: Authorization, bases: Sequence[str], known: Collection[str], note: Note
) -> Verification:
    """Verify the commits of ``authorization``, of which one that descends from ``bases`` is trusted then. Those that
    are ``known`` to be good are not verified again.
    """
    tail = quota.tail(authorization.commits[-1], authorization.by_name, authorization.node_keys)
    if problem := quota.too_many(tail, authorization.node_keys):
        below = {commit.name for commit in tail}
        rest = [commit for commit in authorization.commits if commit.name not in below]
        found = _Pass(repository, authorization, known, note).run(rest, bases) if rest else Verification(bases[0])
        return evolve(found, reached=None, problems=(*found.problems, problem))
    return _Pass(repository, authorization, known, note).run(authorization.commits, bases, tail)


class _Pass:
    """One pass over new commits, parents first, within the limits; what comes after a bad commit is not read."""

    def __init__(
        self, repository: GitObjects, authorization: Authorization, known: Collection[str], note: Note
    ) -> None:
        self._repository = repository
        self._authorization = authorization
        self._known = known
        self._note = note
        self._good: list[Commit] = []
        self._problems: dict[str, Untrusted] = {}
        self._bad: set[str] = set()
        """Commits that do not count, and those after them."""
        self._files: dict[git_history.FileVersion, Any] = {}
        self._end = time.monotonic() + SECONDS
        self._reading = 0.0
        """Seconds of processor time that the lists took."""

    def run(self, commits: Sequence[Commit], bases: Sequence[str], tail: Sequence[Commit] = ()) -> Verification:
        """``tail``: the commits at the end that no admin has signed above."""
        limit: Untrusted | None = None
        start, number = 0, AT_ONCE
        while start < len(commits):
            limit = self._limit()
            if limit or len(self._problems) >= MOST_PROBLEMS:
                break
            if start:
                self._note(f"verified {len(self._good):,} of {len(commits):,} commits")
            self._verify(commits[start : start + number])
            start, number = start + number, AT_ONCE if self._problems else min(2 * number, MOST_AT_ONCE)
        if not limit and not self._problems:
            self._check_list_of(commits[-1])
            self._check_size_of(tail)
        first = next(iter(self._problems), None)
        problems = [*self._problems.values(), *([limit] if limit else [])]
        trusted = trust_anchor(self._good, self._authorization, bases, first)
        return Verification(
            trusted=trusted,
            reached=self._reached(trusted),
            problems=tuple(map(str, problems)),
            verified=sum(commit.name not in self._known for commit in self._good),
            lasting=all(problem.lasting for problem in problems),
            hint=WAY_OUT if first else "",
        )

    def _limit(self) -> Untrusted | None:
        total = len(self._authorization.commits)
        if time.monotonic() > self._end:
            text = f"{len(self._good):,} of {total:,} new commits are verified; the next run continues"
            return Untrusted(text, lasting=False)
        if self._reading > CHECKING:
            text = f"the lists of {total:,} new commits take more than {CHECKING:g} s of processor time to read"
            return Untrusted(f"{text}; the next run continues", lasting=False)
        return None

    def _reached(self, trusted: str | None) -> str | None:
        """The last good commit, if only nodes have signed between ``trusted`` and it."""
        authorization, here = self._authorization, self._good[-1] if self._good else None
        while here and here.name != trusted and here.parents and authorization.is_by_node(here):
            if here.parents[0] == trusted:
                return self._good[-1].name
            here = authorization.by_name.get(here.parents[0])
        return None

    def _verify(self, commits: Iterable[Commit]) -> None:
        some = [commit for commit in commits if not self._follows_bad(commit)]
        began = time.process_time()
        known = self._authorization.rules
        names = [name for commit in some for name in (*commit.parents, commit.name) if name not in known]
        self._authorization.learn(git_history.rules(self._repository, names, self._files))
        self._reading += time.process_time() - began
        problems = self._signature_problems([commit for commit in some if commit.name not in self._known])
        signed = [commit for commit in some if commit.name not in self._known and not problems[commit.name]]
        problems.update(self._edit_problems([commit for commit in signed if self._authorization.is_by_node(commit)]))
        for commit in some:
            if self._follows_bad(commit):
                continue
            if problem := problems.get(commit.name):
                self._problems[commit.name] = problem
                self._bad.add(commit.name)
            else:
                self._good.append(commit)

    def _follows_bad(self, commit: Commit) -> bool:
        if self._bad.intersection(commit.parents):
            self._bad.add(commit.name)
            return True
        return False

    def _signature_problems(self, commits: Sequence[Commit]) -> dict[str, Untrusted | None]:
        """Why each commit's signature does not count, or None. Only where git decides is there anything to wait for."""
        by_git = [commit for commit in commits if not commit.signature.ed25519]
        turns = [by_git[turn::THREADS] for turn in range(min(THREADS, len(by_git)))]
        found = self._problems_of([commit for commit in commits if commit.signature.ed25519])
        for problems in at_once(*(partial(self._problems_of, turn) for turn in turns)):
            found |= problems()
        return found

    def _problems_of(self, commits: Sequence[Commit]) -> dict[str, Untrusted | None]:
        return {commit.name: self._signature_problem(commit) for commit in commits}

    def _signature_problem(self, commit: Commit) -> Untrusted | None:
        authorization = self._authorization
        try:
            lines = authorization.lines_for(commit)
            is_head = commit is authorization.commits[-1]
            if not is_signed(self._repository, commit, lines, second_opinion=is_head):
                text = f"commit {commit.short} has a signature that does not match it"
                return Untrusted(text, lasting=commit.signature.ed25519 is not None)  # git may fail for another reason
        except Untrusted as problem:
            return problem
        return None

    def _edit_problems(self, by_node: Sequence[Commit]) -> Iterator[tuple[str, Untrusted]]:
        """What is wrong with the edits of node's commits; they are read once the signatures are verified."""
        for start in range(0, len(by_node), AT_ONCE):
            some = by_node[start : start + AT_ONCE]
            found = edits_of(self._repository, [commit for commit in some if len(commit.parents) == 1])
            for commit in some:
                edits = found.get(commit.name, ())
                try:
                    if isinstance(edits, Untrusted):
                        raise edits
                    self._authorization.check_node(evolve(commit, edits=edits))
                except Untrusted as problem:
                    yield commit.name, problem

    def _check_list_of(self, head: Commit) -> None:
        authorization = self._authorization
        if not authorization.is_sound(head.name):
            text = f"commit {head.short} leaves no admin with a valid key in {SIGNERS_FILE}: correct the list"
            self._problems[head.name] = Untrusted(text, lasting=False)
        elif authorization.revoked & authorization.keys(head.name):
            text = f"commit {head.short} brings back a key that was removed from {SIGNERS_FILE}"
            self._problems[head.name] = Untrusted(text)

    def _check_size_of(self, tail: Sequence[Commit]) -> None:
        edits = edits_of(self._repository, tail)
        whole = [evolve(one, edits=found) for one in tail if not isinstance(found := edits[one.name], Untrusted)]
        if problem := quota.too_large(whole, self._authorization.node_keys):
            self._problems[tail[0].name] = Untrusted(problem)
