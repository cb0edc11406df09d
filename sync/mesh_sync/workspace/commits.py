"""Commits that people make in a working copy, and what their nodes will make of them; through GitPython."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import git
from attrs import evolve, frozen

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.trust import signers
from mesh_sync.workspace.working_copy import WorkingCopy, Written

ROLES = ("AUTHOR", "COMMITTER")
NOBODY = ("mesh-sync", "mesh-sync@localhost")
_UNSIGNED = """\
the commit is {}: every node that verifies signatures would refuse it. Undo it, have git sign, and commit again:
  git reset --soft HEAD~1
  git config gpg.format ssh
  git config user.signingKey ~/.ssh/id_ed25519
  git config commit.gpgSign true"""


def require(directory: Path) -> None:
    """Raise ConfigError when ``directory`` is not in a git repository, so that nothing can be committed."""
    _open(directory).close()


def begin(directory: Path, branch: str, message: str, settings: Sequence[tuple[str, str]]) -> None:
    """Make ``directory`` a repository with these settings, and commit all that is in it."""
    with git.Repo.init(directory, initial_branch=branch) as repository:
        try:
            for name, value in settings:
                repository.git.config("--local", name, value)
            repository.git.add("--all")
            repository.git.update_environment(**_identity(repository.git))
            repository.git.commit("--quiet", "-m", message)
        except git.GitCommandError as error:
            raise _not_taken(error) from None


def commit_files(directory: Path, paths: Sequence[str], message: str) -> str | None:
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
            raise _not_taken(error) from None
        return repository.head.commit.hexsha[:10]


def doubt(directory: Path) -> str:
    """What nodes that verify signatures would have against the newest commit's; empty when nothing, or nobody signs.

    What counts is who was allowed before it; only the commit that begins allowed_signers speaks for itself.
    """
    program = git.Git(str(directory))
    allowed = _show(program, "HEAD~1") or _show(program, "HEAD")
    if not allowed:
        return ""
    with tempfile.NamedTemporaryFile("w", prefix="mesh-sync-") as file:
        file.write(signers.text(signers.parse(allowed.encode())[0].entries))
        file.flush()
        try:
            program(c=[f"gpg.ssh.allowedSignersFile={file.name}"]).verify_commit("HEAD")
        except git.GitCommandError:
            signed = "gpgsig" in program.cat_file("commit", "HEAD").partition("\n\n")[0]
            return _UNSIGNED.format(f"signed by no key that {SIGNERS_FILE} had" if signed else "not signed")
    return ""


def fingerprint(directory: Path) -> str | None:
    """The fingerprint of the mesh as it is committed, None before the first commit or where nobody signs."""
    program = git.Git(str(directory))
    try:
        if program.rev_parse("--is-shallow-repository") == "true":
            raise ConfigError(f"{directory} has not the whole history", hint="git fetch --unshallow")
        first = program.rev_list("--first-parent", "--max-parents=0", "HEAD")
    except git.GitCommandError:
        return None
    present = signers.parse(_show(program, "HEAD").encode())[0]
    return signers.fingerprint(first, present) if present.admins else None


def _show(program: git.Git, revision: str) -> str:
    """allowed_signers at a commit; empty when there is none."""
    try:
        return str(program.show(f"{revision}:./{SIGNERS_FILE}", strip_newline_in_stdout=False))
    except git.GitCommandError:
        return ""


def _not_taken(error: git.GitCommandError) -> MeshSyncError:
    said = " ".join((error.stderr.partition("stderr: '")[2] or error.stderr).strip(" '\n").split())
    return MeshSyncError(f"the files are written, but git did not take the commit: {said or f'exit {error.status}'}")


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


@frozen
class Done:
    """What was written and committed. ``written`` is None when the files said all of it already."""

    message: str
    became: str = ""
    """What happened to the first file, in words that follow its path."""
    written: Written | None = None
    commit: str | None = None
    doubt: str = ""
    """Why no node that verifies signatures would take the commit."""


def finish(
    repository: WorkingCopy, files: Mapping[str, str | None], message: str, became: str, *, commit: bool
) -> Done:
    """Write these files, None takes one away; commit them unless errors from before are left."""
    written = repository.write(files)
    done = Done(message, became, written)
    if not commit or written.errors:
        return done
    made = commit_files(repository.directory, written.paths, message)
    return evolve(done, commit=made, doubt=doubt(repository.directory) if made else "")
