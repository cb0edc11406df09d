"""Commits of single files in a working copy, through GitPython."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import git

from mesh_sync.errors import ConfigError, MeshSyncError

ROLES = ("AUTHOR", "COMMITTER")
NOBODY = ("mesh-sync", "mesh-sync@localhost")


def require(directory: Path) -> None:
    """Raise ConfigError when ``directory`` is not in a git repository, so that nothing can be committed."""
    _open(directory).close()


def commit(directory: Path, paths: Sequence[str], message: str) -> str | None:
    """Commit these files and nothing else; return the commit's short name, or None when nothing differs.

    It is git that commits, so that a person's settings hold: name, signature, hooks. MeshSyncError if it will not.
    """
    with _open(directory) as repository:
        program = repository.git
        files = [str((directory / path).absolute()) for path in paths]
        try:
            changed = [file for file in files if program.status("--porcelain", "--", file)]
            if not changed:
                return None
            program.add("--all", "--", *changed)
            program.update_environment(**_identity(program))
            program.commit("--quiet", "--only", "-m", message, "--", *changed)
        except git.GitCommandError as error:
            said = " ".join((error.stderr.partition("stderr: '")[2] or error.stderr).strip(" '\n").split())
            text = f"the files are written, but git did not take the commit: {said or f'exit {error.status}'}"
            raise MeshSyncError(text) from None
        return repository.head.commit.hexsha[:10]


def _open(directory: Path) -> git.Repo:
    try:
        return git.Repo(directory, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        raise ConfigError(f"{directory.resolve()} is not in a git repository: nothing can be committed there") from None


def _identity(program: git.Git) -> dict[str, str]:
    """Who commits where git knows nobody: it would refuse."""
    try:
        program.var("GIT_AUTHOR_IDENT"), program.var("GIT_COMMITTER_IDENT")
    except git.GitCommandError:
        name, mail = NOBODY
        return {f"GIT_{who}_NAME": name for who in ROLES} | {f"GIT_{who}_EMAIL": mail for who in ROLES}
    return {}
