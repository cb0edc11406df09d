"""Whether a node accepts a commit: each one since the last that it trusts has to be signed by a key that may do so.

`verify_history` is for a node, which remembers what it has verified; `verify_clone` for people and CI, with a clone.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from mesh_sync.errors import CommandError, ConfigError, Refused
from mesh_sync.findings import errors
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.node.config import Node
from mesh_sync.node.fingerprint import trust_root
from mesh_sync.node.state import State
from mesh_sync.repository.git_objects import GitObjects, git_directory
from mesh_sync.system.cpu_limit import CHECKING
from mesh_sync.trust import git_history, signers
from mesh_sync.trust.authorization import Authorization, Commit, Rules, Untrusted
from mesh_sync.trust.signers import Signers
from mesh_sync.trust.trust_anchor import revoked, trust_anchor

SECONDS = 60.0
"""How long one run verifies; what it has verified by then is remembered, and the next run continues there."""
THREADS = 4
AT_ONCE = 8 * THREADS
"""Commits whose lists are read together."""
MOST_PROBLEMS = 100
"""After so many bad commits in a push, the rest is not looked at."""
_WAY_OUT = "nothing of it is applied until the branch is corrected: see docs/trust.md"

Note = Callable[[str], None]


@frozen
class Verification:
    """What of a history is verified. ``trusted``: the newest commit that a node may trust, with all before it.

    ``problems``: a sentence for each commit that does not count, and for a limit that was reached. ``verified``: how
    many commits count. ``lasting``: another run would find the same; not after the time limit, or where the clock
    matters.
    """

    trusted: str | None
    problems: tuple[str, ...] = ()
    verified: int = 0
    lasting: bool = True
    hint: str = _WAY_OUT


def verify_history(
    node: Node, before: State, head: str, repository: GitObjects, note: Note
) -> tuple[State, Refused | None]:
    """Given a commit that the bare copy has, return what is trusted now, and why ``head`` is not accepted if it is not.

    Raise ConfigError when the node's own file is no good, CommandError when the bare copy is damaged.
    """
    own = own_signers(node)
    if before.remote.trust_root != trust_root(node):
        before = evolve(before, remote=evolve(before.remote, trusted=None, trust_root=trust_root(node)))
    try:
        found = _verified_since(node, before, own, head, repository, note)
    except Untrusted as problem:
        return before, Refused(str(problem), hint=_WAY_OUT)
    after = evolve(before, remote=evolve(before.remote, trusted=found.trusted))
    if found.problems:
        return after, Refused(found.problems[0], hint=found.hint, lasting=found.lasting)
    return after, None


def verify_clone(directory: Path, base: str, head: str = "HEAD") -> Verification:
    """Verify BASE..HEAD of a clone as a node that trusts BASE would; ``directory`` is the clone's top.

    Raise ConfigError when there is no such history, or no list of signers at BASE.
    """
    try:
        repository = GitObjects(git_directory(directory))
        first, last = repository.resolve(base), repository.resolve(head)
        if repository.git("rev-parse", "--is-shallow-repository").strip() == b"true":
            raise ConfigError(f"{directory} is a shallow clone, which hides history", hint="git fetch --unshallow")
        [known] = git_history.rules(repository, [first]).values()
        if known.signers is None:
            raise ConfigError(f"commit {first[:10]} has no {SIGNERS_FILE} to verify later commits against")
        if not repository.descends(last, first):
            return Verification(first, (_rewritten(last, first),))
        return _verify(repository, last, [first], [known], lambda text: None)
    except Untrusted as problem:
        return Verification(None, (str(problem),))
    except CommandError as error:
        raise ConfigError(f"the history of {directory} cannot be read: {error.message}") from None


def own_signers(node: Node) -> Signers:
    """The node's own allowed signers. Raise ConfigError when another user than root could have written them."""
    file = node.trust.allowed_signers
    try:
        status = file.stat()
        content = file.read_bytes()
    except OSError as error:
        text = f"{file} (trust.allowed_signers) cannot be read: {error.strerror}"
        hint = "it names the signers that this node trusts at first; `mesh-sync join` writes it"
        raise ConfigError(text, hint=hint) from None
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        text = f"{file} must be a regular file that root owns and only root may write"
        raise ConfigError(text, hint=f"chown root: {file}; chmod 644 {file}")
    found, findings = signers.parse(content, str(file))
    if wrong := errors(findings):
        raise ConfigError("\n".join(map(str, wrong)))
    return found


def _verified_since(
    node: Node, before: State, own: Signers, head: str, repository: GitObjects, note: Note
) -> Verification:
    trusted, applied = before.remote.trusted, before.applied.commit
    if trusted is None:
        return _first_trust(node, own, head, repository, note)
    bases = [trusted]
    if not repository.descends(head, trusted):
        # A push that was verified in part and refused may be replaced by one that descends from the applied commit.
        is_behind = repository.descends(trusted, head)
        replaces = applied and repository.descends(trusted, applied) and repository.descends(head, applied)
        if is_behind and (not replaces or head != applied):
            text = f"commit {head[:10]} is older than {trusted[:10]}, which this node has seen: the remote went back"
            raise Untrusted(text)
        if not applied or not replaces:
            raise Untrusted(_rewritten(head, trusted))
        bases.append(applied)
    known = [_with(rules, own) for rules in git_history.rules(repository, bases).values()]
    return _verify(repository, head, bases, known, note)


def _rewritten(head: str, base: str) -> str:
    return f"commit {head[:10]} does not descend from {base[:10]}: the branch was rewritten"


def _first_trust(node: Node, own: Signers, head: str, repository: GitObjects, note: Note) -> Verification:
    """Begin with the commit that a person has compared, else with a head that an admin has signed."""
    if first := node.trust.first_commit:
        if not repository.descends(head, first):
            text = f"commit {head[:10]} does not descend from {first[:10]}, where this node's trust begins"
            raise Untrusted(f"{text} (first_commit in node.toml)")
        [known] = git_history.rules(repository, [first]).values()
        return _verify(repository, head, [first], [evolve(known, signers=own)], note)
    [commit] = git_history.commits(repository, head, [f"{head}^@"])
    alone = Authorization((Rules(own),), (evolve(commit, parents=()),), datetime.now(UTC))
    return _Pass(repository, alone, note).run([])


def _with(rules: Rules, own: Signers) -> Rules:
    return rules if rules.signers is not None else evolve(rules, signers=own)


def _verify(repository: GitObjects, head: str, bases: list[str], known: Sequence[Rules], note: Note) -> Verification:
    commits = git_history.commits(repository, head, bases)
    if not commits:
        return Verification(bases[0])
    return _Pass(repository, Authorization(tuple(known), commits, datetime.now(UTC)), note).run(bases)


class _Pass:
    """One pass over new commits, parents first, within the limits; what comes after a bad commit is not read."""

    def __init__(self, repository: GitObjects, authorization: Authorization, note: Note) -> None:
        self._repository = repository
        self._authorization = authorization
        self._note = note
        self._good: list[Commit] = []
        self._problems: dict[str, Untrusted] = {}
        self._bad: set[str] = set()
        """Commits that do not count, and those after them."""
        self._files: dict[git_history.FileVersion, Any] = {}
        self._end = time.monotonic() + SECONDS
        self._reading = 0.0
        """Seconds of processor time that the lists took."""

    def run(self, bases: list[str]) -> Verification:
        commits = self._authorization.commits
        limit: Untrusted | None = None
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(commits), AT_ONCE):
                limit = self._limit()
                if limit or len(self._problems) >= MOST_PROBLEMS:
                    break
                if start:
                    self._note(f"verified {len(self._good):,} of {len(commits):,} commits")
                self._verify(commits[start : start + AT_ONCE], pool)
        if not limit and not self._problems:
            self._check_list_of(commits[-1])
        first = next(iter(self._problems), None)
        problems = [*self._problems.values(), *([limit] if limit else [])]
        return Verification(
            trusted=trust_anchor(self._good, self._authorization, bases, first),
            problems=tuple(map(str, problems)),
            verified=len(self._good),
            lasting=all(problem.lasting for problem in problems),
            hint=_WAY_OUT if first else "",
        )

    def _limit(self) -> Untrusted | None:
        total = len(self._authorization.commits)
        if time.monotonic() > self._end:
            text = f"{len(self._good):,} of {total:,} new commits are verified; the next run continues"
            return Untrusted(text, lasting=False)
        if self._reading > CHECKING:
            return Untrusted(
                f"the lists of {total:,} new commits take more than {CHECKING:g} s of processor time to read"
            )
        return None

    def _verify(self, commits: Iterable[Commit], pool: ThreadPoolExecutor) -> None:
        some = []
        for commit in commits:
            if self._bad.intersection(commit.parents):
                self._bad.add(commit.name)
            else:
                some.append(commit)
        began = time.process_time()
        known = self._authorization.rules
        names = [name for commit in some for name in (*commit.parents, commit.name) if name not in known]
        self._authorization.learn(git_history.rules(self._repository, names, self._files))
        self._reading += time.process_time() - began
        for commit, problem in zip(some, pool.map(self._problem, some), strict=True):
            follows_bad = bool(self._bad.intersection(commit.parents))
            if not follows_bad and not problem:
                self._good.append(commit)
                continue
            self._bad.add(commit.name)
            if problem and not follows_bad:
                self._problems[commit.name] = problem

    def _problem(self, commit: Commit) -> Untrusted | None:
        """Why a commit does not count, or None. Its edits are read only once its signature is verified."""
        authorization = self._authorization
        try:
            lines = authorization.lines_for(commit)
            if not git_history.is_signed(self._repository, commit, lines):
                return Untrusted(f"commit {commit.short} has a signature that does not match it")
            if authorization.is_by_node(commit):
                one_parent = len(commit.parents) == 1
                authorization.check_node(git_history.with_edits(self._repository, commit) if one_parent else commit)
        except Untrusted as problem:
            return problem
        return None

    def _check_list_of(self, head: Commit) -> None:
        authorization = self._authorization
        if not authorization.is_sound(head.name):
            text = f"commit {head.short} leaves no admin with a valid key in {SIGNERS_FILE}: correct the list"
            self._problems[head.name] = Untrusted(text, lasting=False)
        elif revoked(authorization) & authorization.keys(head.name):
            text = f"commit {head.short} brings back a key that was removed from {SIGNERS_FILE}"
            self._problems[head.name] = Untrusted(text)
