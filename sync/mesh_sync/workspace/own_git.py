"""git as the person at this terminal runs it in a working copy: their name, key, hooks and filters hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from mesh_sync.errors import CommandError, ConfigError, Reason
from mesh_sync.system.foreground import in_foreground
from mesh_sync.workspace.typed import in_copy

DEADLINE = 60.0
"""Seconds for a git command that needs no input from the person."""
ROLES = ("AUTHOR", "COMMITTER")
FALLBACK = (("NAME", "mesh-sync"), ("EMAIL", "mesh-sync@localhost"))
UNKNOWN = """\
git does not know who you are, so the commit is by mesh-sync <mesh-sync@localhost>; for the next ones:
  git config --global user.name "YOUR NAME"
  git config --global user.email YOU@DOMAIN"""
_OF_ANOTHER = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE",
)  # fmt: skip
"""What a hook of another repository, say, leaves in the environment: it would lead git there."""


@frozen
class OwnGit:
    """git in the working copy ``directory``. ``env``: what is added to the person's environment."""

    directory: Path
    env: Mapping[str, str] = field(factory=dict[str, str])

    @classmethod
    def of(cls, directory: Path) -> OwnGit:
        """git for a working copy whose top is ``directory``. Raise ConfigError when there is none to commit to."""
        git = cls(directory)
        place = directory.resolve()
        try:
            inside, _, up = git("rev-parse", "--is-inside-work-tree", "--show-cdup").partition("\n")
        except CommandError as error:
            if error.reason is Reason.NOT_FOUND:
                raise ConfigError("git is not installed", hint="install it, or put its directory on PATH") from None
            text = f"{place} is not in a git repository: nothing can be committed there"
            raise ConfigError(text, hint=error.stderr.strip()) from None
        if inside != "true":
            raise ConfigError(f"{place} is in a git repository without files: nothing can be committed there")
        if up:
            above = (place / up).resolve()
            text = f"{place} is inside the git repository {above}, where nodes would look for the list at the top"
            raise ConfigError(text, hint=f"give the list a repository of its own: {in_copy(directory, 'git init')}")
        if not git.answers("rev-parse", "--verify", "--quiet", "HEAD^{commit}"):
            hint = f"make the first one: {in_copy(directory, 'git add --all')} && {in_copy(directory, 'git commit')}"
            raise ConfigError(f"{place} has no commit yet that a change could follow", hint=hint)
        return git

    def __call__(
        self,
        *words: str,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        deadline: float = DEADLINE,
        show: bool = False,
    ) -> str:
        """What git prints, without the last line feed; with ``show`` the person sees what it says meanwhile.

        Raise CommandError when it fails.
        """
        argv, env = ["git", "-C", str(self.directory), *words], {**self.env, **(env or {})}
        out = in_foreground(argv, input=input, env=env, without=_OF_ANOTHER, deadline=deadline, show=show)
        return out.removesuffix("\n")

    def answers(self, *words: str, deadline: float = DEADLINE) -> str | None:
        """What git prints; None where it fails."""
        try:
            return self(*words, deadline=deadline)
        except CommandError as error:
            if error.reason is not Reason.EXIT_STATUS:
                raise
            return None

    def hook(self, name: str, *words: str, deadline: float) -> None:
        """Run the person's hook of this name, if there is one. Raise CommandError when it fails.

        By its path, as `git hook run` came with git 2.36.
        """
        place = (self.directory / self("rev-parse", "--git-path", f"hooks/{name}")).resolve()
        if place.is_file() and os.access(place, os.X_OK):
            top = self.directory.resolve()
            in_foreground([str(place), *words], cwd=top, env=self.env, without=_OF_ANOTHER, deadline=deadline)

    def with_identity(self) -> tuple[OwnGit, str]:
        """The same with a committer where none is configured and git would refuse to commit; and what to say then."""
        if all(self.answers("var", f"GIT_{role}_IDENT") for role in ROLES):
            return self, ""
        names = {f"GIT_{role}_{what}": text for role in ROLES for what, text in FALLBACK}
        return OwnGit(self.directory, {**self.env, **names}), UNKNOWN
