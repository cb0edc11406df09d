"""From gathered edits to the git host, step by step, as `--push` goes: ask the host, commit, look again, push."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from mesh_sync.errors import CommandError, Refused, Unreachable
from mesh_sync.system.shell_words import quote
from mesh_sync.workspace.gathered import Gathered, Moved
from mesh_sync.workspace.push import Upstream


class Step(Enum):
    """What is being done."""

    ASK = "ask"
    SIGN = "sign"
    PUSH = "push"


def publish(gathered: Gathered, message: str, at: Callable[[Step], None]) -> tuple[str, tuple[str, ...]]:
    """Commit the edits and push them; return the commit, and what a person has to know about it.

    ``at`` is told of each step. Without edits what is committed already is pushed. Raise Moved when the host has newer
    commits, which are in the working copy then; Unreachable before anything is committed, or when the push fails.
    """
    at(Step.ASK)
    upstream = Upstream.of(gathered.base.directory)
    catch_up(upstream)
    if upstream.git("rev-parse", "HEAD^{commit}") != gathered.base.commit:
        raise Moved
    notes: tuple[str, ...] = ()
    if gathered.files:
        at(Step.SIGN)
        notes = gathered.commit(message).notes
    at(Step.PUSH)
    outgoing = upstream.outgoing()
    if outgoing is not None:
        outgoing.push()
    return upstream.git("rev-parse", "HEAD^{commit}"), notes


def catch_up(upstream: Upstream) -> None:
    """Fetch, and bring the branch to what the host has if it has nothing of its own. Raise Unreachable, Refused."""
    git, remote = upstream.git, quote(upstream.remote)
    try:
        git("fetch", "--quiet", "--", upstream.remote)
    except CommandError as error:
        said = " ".join(error.stderr.split()) or error.message
        raise Unreachable(f"{upstream.remote} could not be asked, nothing was committed: {said}") from None
    known = git("rev-parse", f"{upstream.tracking}^{{commit}}")
    if git.answers("merge-base", "--is-ancestor", known, "HEAD") is not None:
        return
    try:
        git("merge", "--quiet", "--ff-only", known)
    except CommandError as error:
        said = " ".join(error.stderr.split()) or error.message
        hint = f"git fetch {remote} && git rebase {known[:10]}"
        raise Refused(f"{upstream} has commits that cannot be taken as they are: {said}", hint=hint) from None
