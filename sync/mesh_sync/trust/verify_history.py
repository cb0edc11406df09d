"""Whether a node accepts a commit: each one since the last that it trusts has to be signed by a key that may do so.

`verify_history` is for a node, which remembers what it has verified; `verify_clone` for people and CI, with a clone.
"""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve

from mesh_sync.errors import Cause, CommandError, ConfigError, Refused
from mesh_sync.findings import errors
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.node.config import Node
from mesh_sync.node.fingerprint import trust_root
from mesh_sync.node.state import Anchor, State
from mesh_sync.repository.git_objects import GitObjects, git_directory
from mesh_sync.system.shell_words import quote
from mesh_sync.trust import git_history, signers
from mesh_sync.trust.authorization import Authorization, Rules, Untrusted
from mesh_sync.trust.descent import admins_commit, anchor_at, position
from mesh_sync.trust.signers import Signers
from mesh_sync.trust.verify_commits import WAY_OUT, Note, Verification, verify_commits


def verify_history(
    node: Node, before: State, head: str, repository: GitObjects, note: Note, moment: datetime | None = None
) -> tuple[State, Refused | None]:
    """Given a commit that the bare copy has, return what is trusted now, and why ``head`` is not accepted if it is not.

    ``moment``: by which keys begin and end; None for what the clock says. Raise ConfigError when the node's own
    file is no good, CommandError when the bare copy is damaged.
    """
    own = own_signers(node)
    if before.remote.trust_root != trust_root(node):
        before = evolve(before, remote=evolve(before.remote, trusted=None, verified=None, trust_root=trust_root(node)))
    try:
        found = _verified_since(node, before, own, head, repository, note, moment or datetime.now(UTC))
    except Untrusted as problem:
        return before, Refused(str(problem), hint=WAY_OUT, cause=Cause.UNTRUSTED)
    trusted = before.remote.trusted
    if found.trusted and (trusted is None or trusted.commit != found.trusted):
        trusted = anchor_at(repository, found.trusted)
    after = evolve(before, remote=evolve(before.remote, trusted=trusted, verified=found.reached))
    if found.problems:
        text = found.problems[0]
        return after, Refused(text, hint=found.hint, lasting=found.lasting, cause=Cause.UNTRUSTED)
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
        anchor = anchor_at(repository, admins_commit(repository, first, known.signers))
        start = position(repository, anchor, last, known.signers)
        if start is None:
            return Verification(first, problems=(_rewritten(last, first),))
        found = _verify(repository, None, last, [start], first, lambda text: None, datetime.now(UTC))
        if found.trusted == start and not found.problems:
            _check_not_taken_back(repository, first, last, known.signers)
        return found
    except Untrusted as problem:
        return Verification(None, problems=(str(problem),))
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
        raise ConfigError(text, hint=f"chown root: {quote(str(file))}; chmod 644 {quote(str(file))}")
    found, findings = signers.parse(content, str(file))
    if wrong := errors(findings):
        raise ConfigError("\n".join(map(str, wrong)))
    return found


def _verified_since(
    node: Node, before: State, own: Signers, head: str, repository: GitObjects, note: Note, moment: datetime
) -> Verification:
    """Verify what is new since the newest commit of an admin that is trusted, which ``head`` has to descend from."""
    trusted, applied = before.remote.trusted, before.applied
    if trusted is None:
        return _first_trust(node, own, head, repository, note, moment)
    base = position(repository, trusted, head, own)
    if base:
        found = _verify(repository, own, head, [base], before.remote.verified, note, moment)
        above = applied.commit if found.trusted == base and not found.problems else None
        if above and repository.descends(above, trusted.commit):
            _check_not_taken_back(repository, above, head, own)
        return found
    # A push that was verified in part and refused may be replaced by an admin's that descends from what is applied.
    earlier = applied.anchor and position(repository, applied.anchor, head, own)
    if repository.descends(trusted.commit, head) and not (earlier and head == applied.commit):
        text = f"commit {head[:10]} is older than {trusted.commit[:10]}, which this node has seen: the remote went back"
        raise Untrusted(text)
    if not earlier or not repository.has(trusted.commit):
        raise Untrusted(_rewritten(head, trusted.commit))
    found = _verify(repository, own, head, [trusted.commit, earlier], None, note, moment)
    if found.trusted == trusted.commit and not found.problems and head != applied.commit:
        raise Untrusted(_rewritten(head, trusted.commit))
    return found


def _check_not_taken_back(repository: GitObjects, applied: str, head: str, own: Signers) -> None:
    """What nodes have signed above the last commit of an admin, and is applied, only an admin's commit takes back."""
    if position(repository, Anchor(applied), head, own) is None:
        what = "is older than" if repository.descends(applied, head) else "does not descend from"
        text = f"commit {head[:10]} {what} {applied[:10]}, which is applied"
        raise Untrusted(f"{text}: only a commit that an admin has signed may take that back")


def _rewritten(head: str, base: str) -> str:
    return f"commit {head[:10]} does not descend from {base[:10]}: the branch was rewritten"


def _first_trust(
    node: Node, own: Signers, head: str, repository: GitObjects, note: Note, moment: datetime
) -> Verification:
    """Begin with the commit that a person has compared, else with a head that an admin has signed."""
    if first := node.trust.first_commit:
        if not repository.descends(head, first):
            text = f"commit {head[:10]} does not descend from {first[:10]}, where this node's trust begins"
            raise Untrusted(f"{text} (first_commit in node.toml)")
        return _verify(repository, own, head, [first], None, note, moment)
    [commit] = git_history.commits(repository, head, [f"{head}^@"])
    alone = Authorization((Rules(own),), (evolve(commit, parents=()),), moment)
    return verify_commits(repository, alone, [], (), note)


def _verify(
    repository: GitObjects,
    own: Signers | None,
    head: str,
    bases: list[str],
    verified: str | None,
    note: Note,
    moment: datetime,
) -> Verification:
    """Verify what ``head`` brings since ``bases``; ``verified``: how far beyond the base that was done before."""
    commits = git_history.commits(repository, head, bases)
    if not commits:
        return Verification(bases[0])
    found = git_history.rules(repository, bases).values()
    known = tuple(rules if rules.signers is not None else evolve(rules, signers=own) for rules in found)
    before: frozenset[str] = frozenset()
    if verified and repository.has(verified):
        before = frozenset(repository.git("rev-list", verified, "--not", bases[0]).decode().split())
    authorization = Authorization(known, commits, moment, git_history.dates_before(repository, commits))
    on = list(bases)
    if len(bases) > 1:  # what lies between the two is as good a place to go on from
        on += repository.git("rev-list", "--ancestry-path", f"{bases[1]}..{bases[0]}").decode().split()
    return verify_commits(repository, authorization, on, before, note)
