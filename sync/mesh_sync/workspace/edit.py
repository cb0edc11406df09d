"""The one way of every edit: open the working copy, write files that pass the checks, commit them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import evolve, frozen

from mesh_sync.errors import ConfigError
from mesh_sync.findings import Finding, errors
from mesh_sync.workspace import commits
from mesh_sync.workspace.working_copy import WorkingCopy


@frozen
class Edited:
    """What an edit did."""

    message: str
    """The commit's message; why nothing was written, if so."""
    path: str = ""
    """The first of the files; empty when they did not have to change."""
    became: str = ""
    """What happened to it, in words that follow its path."""
    findings: tuple[Finding, ...] = ()
    """The warnings that the edit brought, and the errors from before."""
    commit: str | None = None
    rejection: str = ""
    """Why nodes would reject the commit's signature."""


@frozen
class Edit:
    """An edit of the working copy in ``directory``, whose files are committed too if ``commit``."""

    directory: Path
    commit: bool = False

    def open(self) -> WorkingCopy:
        """Read the working copy. Raise ConfigError when there is none, or no git repository to commit to."""
        if self.commit:
            commits.repository_of(self.directory).close()
        return WorkingCopy.open(self.directory)

    def outside(self, file: Path) -> Path:
        """``file``, which holds or will hold a secret. Raise ConfigError when it is inside the repository."""
        if file.resolve().is_relative_to(self.directory.resolve()):
            raise ConfigError(f"{file} is inside the mesh repository", hint="keep private keys and secrets elsewhere")
        return file

    def finish(
        self,
        copy: WorkingCopy,
        files: Mapping[str, str | None],
        message: str,
        became: str,
        first: Callable[[], None] = lambda: None,
    ) -> Edited:
        """Write these files (None removes one), and commit them unless the list has errors from before.

        ``first``: what is done before that, once they have passed the checks.
        """
        edited = Edited(message, next(iter(files), ""), became, copy.write(files, first))
        if not self.commit or errors(edited.findings):
            return edited
        made = commits.commit_files(self.directory, tuple(files), message)
        return evolve(edited, commit=made, rejection=commits.rejection(self.directory) if made else "")
