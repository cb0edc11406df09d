"""Whether a node takes a commit for the mesh's: every commit since the last trusted one has to be signed as it should.

`judge` is for a node, which remembers what it has verified; `untrusted` for operators and CI, who have a clone at hand.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
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
from mesh_sync.repository.git_dir import GitDir
from mesh_sync.system.cpu_limit import CHECKING
from mesh_sync.system.run import run
from mesh_sync.trust import git_history, signers
from mesh_sync.trust.authorization import Commit, Lineage, Rules, Untrusted
from mesh_sync.trust.signers import Signers
from mesh_sync.trust.trust_anchor import newest, revoked

SECONDS = 60.0
"""How long one run verifies; what it has verified by then is remembered, and the next run goes on."""
THREADS = 4
MOST_PROBLEMS = 100
"""After so many bad commits of a push nothing more is looked at."""
_WAY_OUT = "nothing of it is applied until the branch is put right; docs/trust.md says how"

Note = Callable[[str], None]


@frozen
class Verdict:
    """What of a history is verified. ``trusted``: its newest commit that is, with all before it.

    ``problems``: each commit that does not count, with the sentence that says why. ``verified``: how many do.
    ``lasting``: another run would say the same; not when the time was up, or the clock had a say.
    """

    trusted: str | None
    problems: tuple[tuple[str, str], ...] = ()
    verified: int = 0
    lasting: bool = True

    @property
    def hint(self) -> str:
        return "" if self.problems and not self.problems[0][0] else _WAY_OUT


def judge(node: Node, before: State, head: str, repository: GitDir, note: Note) -> tuple[State, Refused | None]:
    """Given a commit that the bare copy has, return what is trusted now, and why ``head`` is not accepted if it is not.

    Raise ConfigError when the node's own file is no good, CommandError when the bare copy is damaged.
    """
    own = own_signers(node)
    if before.remote.trust_root != trust_root(node):
        before = evolve(before, remote=evolve(before.remote, trusted=None, trust_root=trust_root(node)))
    try:
        verdict = _verdict(node, before, own, head, repository, note)
    except Untrusted as problem:
        return before, Refused(str(problem), hint=_WAY_OUT)
    after = evolve(before, remote=evolve(before.remote, trusted=verdict.trusted))
    if verdict.problems:
        return after, Refused(verdict.problems[0][1], hint=verdict.hint, lasting=verdict.lasting)
    return after, None


def own_signers(node: Node) -> Signers:
    """The node's own allowed signers. Raise ConfigError when somebody else than root could have written them."""
    file = node.trust.allowed_signers
    try:
        status = file.stat()
        content = file.read_bytes()
    except OSError as error:
        text = f"{file} (trust.allowed_signers) cannot be read: {error.strerror}"
        raise ConfigError(
            text, hint="it names those whose commits this node begins to trust; `mesh-sync join` writes it"
        ) from None
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        text = f"{file} must be a plain file that belongs to root and that nobody else may write"
        raise ConfigError(text, hint=f"chown root: {file}; chmod 644 {file}")
    found, findings = signers.parse(content, str(file))
    if wrong := errors(findings):
        raise ConfigError("\n".join(map(str, wrong)))
    return found


def _verdict(node: Node, before: State, own: Signers, head: str, repository: GitDir, note: Note) -> Verdict:
    if before.remote.trusted is None:
        return _begin(node, own, head, repository, note)
    bases = [before.remote.trusted]
    if not repository.descends(head, before.remote.trusted):
        if not _beside(before, head, repository):
            raise Untrusted(_elsewhere(head, before, repository))
        bases.append(before.applied.commit or "")
        if head != before.applied.commit and repository.descends(before.remote.trusted, head):
            raise Untrusted(_elsewhere(head, before, repository))
    known = [_with(rules, own) for rules in git_history.rules(repository, bases).values()]
    return _history(repository, head, bases, known, note)


def _begin(node: Node, own: Signers, head: str, repository: GitDir, note: Note) -> Verdict:
    """The first trust: from the commit that a person has compared, else from a head that an admin has signed."""
    first = node.trust.first_commit
    if first:
        if not repository.descends(head, first):
            text = f"commit {head[:10]} does not descend from {first[:10]}, where the trust of this node begins"
            raise Untrusted(f"{text} (first_commit in node.toml)")
        [known] = git_history.rules(repository, [first]).values()
        return _history(repository, head, [first], [evolve(known, signers=own)], note)
    [commit] = (c for c in git_history.commits(repository, head, [f"{head}^@"]))
    moment = datetime.now(UTC)
    alone = Lineage((Rules(own),), (evolve(commit, parents=()),), moment)
    return _verified(repository, alone, [], note)


def _with(rules: Rules, own: Signers) -> Rules:
    return rules if rules.signers is not None else evolve(rules, signers=own)


def _beside(before: State, head: str, repository: GitDir) -> bool:
    """Whether a head that does not descend from what is trusted goes on from what is applied.

    So it is when a push was verified in part and refused, and another took its place.
    """
    applied, trusted = before.applied.commit, before.remote.trusted
    return bool(applied and trusted and repository.descends(trusted, applied) and repository.descends(head, applied))


def _elsewhere(head: str, before: State, repository: GitDir) -> str:
    trusted = before.remote.trusted or ""
    if repository.has(trusted) and repository.descends(trusted, head):
        return f"commit {head[:10]} is older than {trusted[:10]}, which this node has seen: the remote went back"
    return f"commit {head[:10]} does not descend from {trusted[:10]}: the branch was rewritten"


def _history(repository: GitDir, head: str, bases: list[str], known: Sequence[Rules], note: Note) -> Verdict:
    commits = git_history.commits(repository, head, bases)
    if not commits:
        return Verdict(bases[0])
    lineage = Lineage(tuple(known), commits, datetime.now(UTC))
    return _verified(repository, lineage, bases, note)


def _verified(repository: GitDir, lineage: Lineage, bases: list[str], note: Note) -> Verdict:
    """Verify them all, parents first, as long as the time allows; a commit after one that fails is not looked at."""
    end = time.monotonic() + SECONDS
    problems: dict[str, Untrusted] = {}
    below: set[str] = set()  # what comes after a commit that does not count
    good: list[Commit] = []
    total = len(lineage.commits)
    read: dict[git_history.Place, Any] = {}
    spent = 0.0
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, total, THREADS * 8):
            if time.monotonic() > end:
                text = f"{len(good):,} of {total:,} new commits are verified; the next run goes on"
                problems.setdefault("", Untrusted(text, lasting=False))
                break
            if len(problems) >= MOST_PROBLEMS:
                break
            if spent > CHECKING:
                text = f"the lists of {total:,} new commits take more than {CHECKING:g} s of processor time to read"
                problems.setdefault("", Untrusted(text))
                break
            if start:
                note(f"verified {len(good):,} of {total:,} commits")
            some = []
            for commit in lineage.commits[start : start + THREADS * 8]:
                if below.intersection(commit.parents):
                    below.add(commit.name)
                else:
                    some.append(commit)
            began = time.process_time()
            names = [name for commit in some for name in (*commit.parents, commit.name) if name not in lineage.rules]
            lineage.learn(git_history.rules(repository, names, read))
            spent += time.process_time() - began
            answers = pool.map(lambda commit: _problem(repository, lineage, commit), some)
            for commit, problem in zip(some, answers, strict=True):
                if below.intersection(commit.parents) or problem:
                    below.add(commit.name)
                    if problem and not below.intersection(commit.parents):
                        problems[commit.name] = problem
                else:
                    good.append(commit)
    last = lineage.commits[-1]
    if not problems and not lineage.is_sound(last.name):
        text = f"commit {last.short} leaves no admin in {SIGNERS_FILE} whose key is good: put the list right"
        problems[last.name] = Untrusted(text, lasting=False)
    if not problems and revoked(lineage) & lineage.keys(last.name):
        problems[last.name] = Untrusted(f"commit {last.short} has a key in {SIGNERS_FILE} that was seen removed")
    said = tuple((name, str(problem)) for name, problem in problems.items())
    lasting = all(problem.lasting for problem in problems.values())
    return Verdict(newest(good, lineage, bases, next(iter(problems), None)), said, len(good), lasting)


def _problem(repository: GitDir, lineage: Lineage, commit: Commit) -> Untrusted | None:
    """Why a commit does not count, or None. What it changes is looked at when its signature is known to be good."""
    try:
        lines = lineage.lines(commit)
        if not git_history.is_signed(repository, commit, lines):
            return Untrusted(f"commit {commit.short} has a signature that does not fit it")
        if lineage.is_by_node(commit):
            lineage.check_node(git_history.with_edits(repository, commit) if len(commit.parents) == 1 else commit)
    except Untrusted as problem:
        return problem
    return None


def git_dir(directory: Path) -> Path:
    """Where the objects of a working copy lie. CommandError when it is none."""
    words = ("-c", f"safe.directory={directory.absolute()}", "-C", str(directory), "rev-parse", "--absolute-git-dir")
    return Path(run(["git", *words]).strip())


def untrusted(directory: Path, base: str, head: str = "HEAD", *, note: Note = lambda text: None) -> Verdict:
    """Verify BASE..HEAD of a clone as a node that trusts BASE would; ``directory`` is the clone's top.

    Raise ConfigError when there is no such history, or when the list at BASE names nobody.
    """
    try:
        repository = GitDir(git_dir(directory))
        first, last = repository.resolve(base), repository.resolve(head)
        if repository.git("rev-parse", "--is-shallow-repository").strip() == b"true":
            raise ConfigError(f"{directory} is a shallow clone, which hides history", hint="git fetch --unshallow")
        [known] = git_history.rules(repository, [first]).values()
        if known.signers is None:
            raise ConfigError(f"commit {first[:10]} has no {SIGNERS_FILE} to verify the others against")
        if not repository.descends(last, first):
            text = f"commit {last[:10]} does not descend from {first[:10]}: the branch was rewritten"
            return Verdict(first, ((last, text),))
        return _history(repository, last, [first], [known], note)
    except Untrusted as problem:
        return Verdict(None, ((head, str(problem)),))
    except CommandError as error:
        raise ConfigError(f"the history of {directory} cannot be read: {error.message}") from None
