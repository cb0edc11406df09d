"""A commit in the making: HEAD with some files replaced. What is checked is the tree object that is committed.

The working tree and the index have no part in it: what lies there uncommitted, ignored, staged or left out of a sparse
checkout is neither checked nor committed. git's filters and hooks do their work before the tree is checked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import CommandError, MeshSyncError
from mesh_sync.workspace.own_git import OwnGit

PATIENCE = 600.0
"""Seconds for a hook, or for a person to type a passphrase or touch a key."""
_HASH_OF_NONE = "0" * 40


@frozen
class Draft:
    """The commit that would follow ``parent``."""

    git: OwnGit
    """With an index of its own."""
    parent: str
    message_file: Path

    @classmethod
    @contextmanager
    def of(cls, git: OwnGit, files: Mapping[str, str | None], message: str) -> Iterator[Draft]:
        """A draft with these files; None removes one. Raise MeshSyncError when git refuses."""
        with tempfile.TemporaryDirectory(prefix="mesh-sync-") as folder, _refusal():
            message_file = Path(folder) / "message"
            message_file.write_text(message + "\n", encoding="utf-8")
            own = OwnGit(git.directory, {**git.env, "GIT_INDEX_FILE": f"{folder}/index", "GIT_EDITOR": ":"})
            draft = cls(own, git("rev-parse", "HEAD^{commit}"), message_file)
            own("read-tree", draft.parent)
            own("update-index", "-z", "--index-info", input="".join(map(draft._entry, files.items())))
            yield draft

    def _entry(self, file: tuple[str, str | None]) -> str:
        path, text = file
        if text is None:
            return f"0 {_HASH_OF_NONE}\t{path}\0"
        blob = self.git("hash-object", "-w", "--stdin", f"--path={path}", input=text)
        return f"100644 {blob}\t{path}\0"

    @property
    def tree(self) -> str:
        """The tree as it would be committed now."""
        return self.git("write-tree")

    @property
    def is_empty(self) -> bool:
        """Whether the commit would change nothing."""
        return self.tree == self.git("rev-parse", f"{self.parent}^{{tree}}")

    def run_hooks(self) -> None:
        """Let the person's hooks see, refuse or change it, as `git commit` does."""
        for hook, *words in (
            ("pre-commit",),
            ("prepare-commit-msg", str(self.message_file), "message"),
            ("commit-msg", str(self.message_file)),
        ):
            self.git.hook(hook, *words, deadline=PATIENCE)

    def commit(self, tree: str) -> str:
        """Commit this very tree, signed if the person's settings say so; return the commit."""
        git = self._outside
        signs = git("config", "--type=bool", "--default=false", "--get", "commit.gpgSign") == "true"
        words = ("commit-tree", *(("-S",) if signs else ()), "-p", self.parent, "-F", str(self.message_file), tree)
        commit = git(*words, deadline=PATIENCE)
        paths = git("diff-tree", "-r", "-z", "--name-only", "--no-renames", self.parent, commit)
        index = ("reset", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul")
        literal = {"GIT_LITERAL_PATHSPECS": "1"}
        git(*index, commit, input=paths, env=literal)
        try:
            said = self.message_file.read_text(encoding="utf-8", errors="replace")
            git("update-ref", "-m", f"commit: {said.partition(chr(10))[0]}", "HEAD", commit, self.parent)
        except BaseException:
            git(*index, self.parent, input=paths, env=literal)
            raise
        return commit

    def run_last_hook(self, commit: str) -> None:
        """Let the person's post-commit hook run. Raise MeshSyncError when HEAD is another commit then."""
        git = self._outside
        with suppress(CommandError):  # its word does not count: the commit is made
            git.hook("post-commit", deadline=PATIENCE)
        if (head := git("rev-parse", "HEAD")) != commit:
            text = f"committed {commit[:10]}, but a hook then moved HEAD to {head[:10]}, which was not checked"
            raise MeshSyncError(text, hint=f"git diff {commit[:10]} {head[:10]}; mesh-sync check")

    @property
    def _outside(self) -> OwnGit:
        """git with the person's own index."""
        return OwnGit(self.git.directory, {k: v for k, v in self.git.env.items() if k != "GIT_INDEX_FILE"})


@contextmanager
def _refusal() -> Iterator[None]:
    """What git refuses is a MeshSyncError."""
    try:
        yield
    except CommandError as error:
        said = " ".join(error.stderr.split()) or error.message
        raise MeshSyncError(f"nothing was written, git refused the commit: {said}") from None
