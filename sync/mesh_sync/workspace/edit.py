"""The one way of every edit: open the working copy, check the files, write and commit them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import evolve, frozen

from mesh_sync.check.examine import examine
from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.findings import Finding, errors, some
from mesh_sync.mesh.layout import MESH_FILE
from mesh_sync.repository.git_objects import GitObjects, git_directory, tree_at
from mesh_sync.system.shell_words import quote
from mesh_sync.workspace.draft_commit import Draft
from mesh_sync.workspace.own_git import OwnGit
from mesh_sync.workspace.typed import in_copy
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
    notes: tuple[str, ...] = ()
    """What a person has to know about the commit: why nodes would reject its signature, say."""


@frozen
class Change:
    """What an edit makes of the files: their new text, by path; None removes one."""

    files: Mapping[str, str | None]
    message: str
    became: str


@frozen
class Edit:
    """An edit of the working copy in ``directory``, whose files are committed too if ``commit``, and then pushed."""

    directory: Path
    commit: bool = False
    push: bool = False

    def open(self) -> WorkingCopy:
        """Read the working copy. Raise ConfigError when there is none, or no git repository to commit to."""
        if self.commit:
            OwnGit.of(self.directory)
        return WorkingCopy.open(self.directory)

    def outside(self, file: Path) -> Path:
        """``file``, which holds or will hold a secret. Raise ConfigError when it is inside the repository."""
        if file.resolve().is_relative_to(self.directory.resolve()):
            hint = f"keep private keys and secrets elsewhere, such as in ~/{file.name}"
            raise ConfigError(f"{file} is inside the mesh repository", hint=hint)
        return file

    def make(self, change_of: Callable[[WorkingCopy], Change], first: Callable[[], None] = lambda: None) -> Edited:
        """Make the change that is to be made of a working copy, as `finish` does; raise what ``change_of`` raises.

        Who has typed the command without --commit, and types it again with it, has that very change committed.
        """
        copy = self.open()
        try:
            change = change_of(copy)
        except MeshSyncError as error:
            if not self.commit:
                raise
            change = self._made_before(copy, change_of, error)
        return self.finish(copy, change.files, change.message, change.became, first)

    def _made_before(
        self, copy: WorkingCopy, change_of: Callable[[WorkingCopy], Change], error: MeshSyncError
    ) -> Change:
        """The change of HEAD, if the working copy has no other changes of its files. Else raise ``error``."""
        try:
            head = self.head(copy)
            change = change_of(head)
        except MeshSyncError:
            raise error from None
        before = {path: head.tree.texts.get(path) for path in change.files}
        if other := [path for path, text in change.files.items() if not copy.says(path, text, before[path])]:
            text = f"{some(other)} has changes that are neither committed nor of this command"
            raise ConfigError(error.message, hint=f"{text}; {self.how_to_commit(*other)}") from None
        return change

    def head(self, copy: WorkingCopy) -> WorkingCopy:
        """The list as it is committed, at the moment of ``copy``. Raise MeshSyncError where it cannot be read."""
        tree = tree_at(GitObjects(git_directory(self.directory)), OwnGit(self.directory)("rev-parse", "HEAD"))
        return WorkingCopy.of(self.directory, tree, copy.moment, on_disk=False)

    def how_to_commit(self, *paths: str) -> str:
        """What a person types to commit what is in the working copy."""
        add = in_copy(self.directory, f"git add --all -- {' '.join(map(quote, paths))}")
        return f"to commit them: {add} && {in_copy(self.directory, 'git commit')}"

    def finish(
        self,
        copy: WorkingCopy,
        files: Mapping[str, str | None],
        message: str,
        became: str,
        first: Callable[[], None] = lambda: None,
    ) -> Edited:
        """Write these files (None removes one), and commit them: both or neither.

        ``first``: what is done before that, once they have passed the checks. With `commit` that is a check of the
        commit too: of HEAD with these files, which a working copy with other changes says nothing about.
        """
        edited = Edited(message, next(iter(files), ""), became, copy.news(files))
        if not self.commit:
            first()
            with copy.written(files):
                return edited
        from mesh_sync.workspace import commits  # GitPython, 230 ms of processor time, for those who commit

        git, stranger = OwnGit.of(self.directory).with_identity()
        with Draft.of(git, files, message) as draft:
            tree = self._checked(draft.tree, copy)
            first()
            with copy.written(files):
                if draft.is_empty:
                    return edited
                draft.run_hooks()
                commit = draft.commit(tree if draft.tree == tree else self._checked(draft.tree, copy))
            draft.run_last_hook(commit)
        notes = tuple(filter(None, (stranger, commits.rejection(self.directory))))
        return evolve(edited, commit=commit[:10], notes=notes)

    def _checked(self, tree: str, copy: WorkingCopy) -> str:
        """The same tree. Raise MeshSyncError when it has errors."""
        content = tree_at(GitObjects(git_directory(self.directory)), tree)
        mesh, findings = examine(content, copy.moment)
        if (wrong := errors(findings)) or mesh is None:
            lines = "\n".join(map(str, wrong)) or f"{MESH_FILE} is missing"
            text = f"nothing was written, the list as it would be committed has errors:\n{lines}"
            hint = "commit first what this change needs (`git status` shows it), or make it without --commit"
            raise MeshSyncError(text, hint=hint)
        return tree
