"""Pushing what was committed: where to, what nodes will do about it, and why it was not taken."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from mesh_sync.errors import CommandError, ConfigError, MeshSyncError, Reason, Refused, Unreachable
from mesh_sync.findings import errors
from mesh_sync.repository.git_command import public
from mesh_sync.system.shell_words import quote
from mesh_sync.workspace.own_git import OwnGit
from mesh_sync.workspace.preflight import refusals
from mesh_sync.workspace.preview import Preview, plan_between
from mesh_sync.workspace.typed import in_copy

DEADLINE = 180.0
"""Seconds for a push, with the time to type a passphrase."""
_FATAL = 128
"""How git ends when it cannot go on, as when a host does not answer; 1 is that something was refused."""


@frozen
class Upstream:
    """The branch of a git host that the current branch follows."""

    git: OwnGit
    remote: str
    branch: str
    """Its full name there."""
    tracking: str
    """The full name of what this clone knows of it."""

    @classmethod
    def of(cls, directory: Path) -> Upstream:
        """That of a working copy. Raise ConfigError when it follows none."""
        if not directory.exists():
            hint = f"make it without --push; then: {in_copy(directory, 'git push URL main')}"
            raise ConfigError(f"{directory.absolute()} is not there yet, so no git host has it", hint=hint)
        git = OwnGit.of(directory)
        branch = git.answers("symbolic-ref", "--quiet", "--short", "HEAD")
        if branch is None:
            raise ConfigError("HEAD is on no branch that could be pushed", hint=in_copy(directory, "git switch main"))
        fields = "%(upstream:remotename)%0a%(upstream:remoteref)%0a%(upstream)"
        remote, there, tracking = git("for-each-ref", f"--format={fields}", f"refs/heads/{branch}").split("\n")
        if not tracking:
            first, *_ = git("remote").split("\n")
            words = f"git push --set-upstream {quote(first or 'origin')} {quote(branch)}"
            once = in_copy(directory, words)
            hint = once if first else f"{in_copy(directory, 'git remote add origin URL')} && {once}"
            raise ConfigError(f"the branch {branch} follows none of a git host", hint=f"once: {hint}")
        return cls(git, remote, there, tracking)

    def __str__(self) -> str:
        return f"{self.branch.removeprefix('refs/heads/')} of {self.remote}"

    def outgoing(self) -> Outgoing | None:
        """What a push would publish; None when there is nothing. Raise MeshSyncError when nodes would refuse it.

        Raise Refused when the host would, as far as this clone knows.
        """
        base = self.git.answers("rev-parse", "--verify", "--quiet", f"{self.tracking}^{{commit}}")
        if base is None:
            hint = self._here(f"git fetch {quote(self.remote)}")
            raise ConfigError(f"this clone does not know {self} yet", hint=hint)
        commit = self.git("rev-parse", "HEAD^{commit}")
        if commit == base:
            return None
        if self.git.answers("merge-base", "--is-ancestor", base, commit) is None:
            raise self._overtaken()
        directory = self.git.directory
        if wrong := errors(refusals(directory, base)):
            lines = "\n".join(map(str, wrong))
            again = self._here(f"mesh-sync check --since {base[:10]}", option="")
            hint = f"commit what mends it, or undo with `{self._here('git reset')}`; `{again}` looks again"
            raise Refused(f"nothing was pushed, nodes would refuse it:\n{lines}", hint=hint)
        number = int(self.git("rev-list", "--count", f"{base}..{commit}"))
        return Outgoing(self, commit, number, plan_between(directory, f"{base}..{commit}"))

    def push(self, commit: str) -> None:
        """Push this commit. Raise Unreachable, or Refused when it was not taken; git says why to the person."""
        words = ("push", "--porcelain", "--no-progress", "--", self.remote, f"{commit}:{self.branch}")
        try:
            self.git(*words, deadline=DEADLINE, show=True)
        except CommandError as error:
            raise self._failed(error) from None

    def _failed(self, error: CommandError) -> MeshSyncError:
        again = f"it stays committed here; next: {self._here('git push')}"
        if error.reason is Reason.DEADLINE:
            look = f"{self._here(f'git fetch {quote(self.remote)}')} && {self._here('git status')}"
            hint = f"whether it took the commit is not known: {look}"
            return Unreachable(f"{self.remote} gave no answer within {DEADLINE:g} s", hint=hint)
        status = [line.split("\t")[-1] for line in error.stdout.split("\n") if line.startswith("!\t")]
        if any(line.startswith("[rejected]") for line in status):
            return self._overtaken()
        if status:
            return Refused(f"{self.remote} did not take the commit: {status[0]}", hint=f"mend that; {again}")
        if error.status == _FATAL:
            return Unreachable(f"{self.remote} could not be pushed to, see above", hint=again)
        return Refused("git did not push the commit, see above", hint=f"mend that; {again}")

    def _overtaken(self) -> Refused:
        text = f"nothing was pushed: {self} has commits that are not here"
        steps = (self._here("git pull --rebase"), self._here("mesh-sync check", option=""), self._here("git push"))
        return Refused(text, hint=" && ".join(steps))

    def _here(self, command: str, option: str = "-C") -> str:
        return in_copy(self.git.directory, command, option)


@frozen
class Outgoing:
    """What a push would publish: this commit, the newest of ``number``, and what it does to every node."""

    upstream: Upstream
    commit: str
    number: int
    preview: Preview

    def push(self) -> None:
        """Push it. Raise Unreachable, Refused."""
        self.upstream.push(self.commit)


def follow(directory: Path, url: str) -> None:
    """Make a new repository's branch follow the same of a git host, as origin, if it does not. Raise ConfigError."""
    git = OwnGit.of(directory)
    branch = git("symbolic-ref", "--short", "HEAD")
    settings = {f"branch.{branch}.remote": "origin", f"branch.{branch}.merge": f"refs/heads/{branch}"}
    try:
        if git.answers("remote", "get-url", "origin") != url:
            git("remote", "add", "--", "origin", url)
        for name, value in settings.items():
            git("config", "--local", name, value)
    except CommandError as error:
        raise ConfigError(f"--remote: git does not take {public(url)}: {error.message}") from None


def push_first(directory: Path) -> None:
    """Push a new repository to where it follows; nothing that is there may be lost. Raise Unreachable, Refused."""
    upstream = Upstream.of(directory)
    upstream.push(upstream.git("rev-parse", "HEAD^{commit}"))
