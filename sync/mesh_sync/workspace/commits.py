"""The first commit of a mesh, and whether nodes would accept those that people make; through GitPython."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import git

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.trust import signers
from mesh_sync.workspace.own_git import FALLBACK, ROLES
from mesh_sync.workspace.typed import in_copy

_REJECTED = "the commit is {}: nodes that verify signatures would refuse it. Undo it, have git sign, and commit again:"
_SIGNING = (
    "git reset --soft HEAD~1", "git config gpg.format ssh", "git config user.signingKey ~/.ssh/id_ed25519",
    "git config commit.gpgSign true",
)  # fmt: skip


def begin(directory: Path, branch: str, message: str, settings: Mapping[str, str], person: str | None = None) -> None:
    """Make ``directory`` a repository with these settings, and commit all that is in it.

    ``person``: YOU@DOMAIN, by whom commits in it are if git does not know who makes them.
    """
    with git.Repo.init(directory, initial_branch=branch, object_format="sha1") as repository, _refusal():
        program = repository.git
        if not _knows_who(program):
            if person:
                settings = {**settings, "user.name": person.partition("@")[0], "user.email": person}
            else:
                program.update_environment(**{f"GIT_{who}_{what}": text for who in ROLES for what, text in FALLBACK})
        for name, value in settings.items():
            program.config("--local", name, value)
        program.add("--all")
        program.commit("--quiet", "-m", message)


def rejection(directory: Path) -> str:
    """Why nodes would reject the newest commit's signature; empty if they accept it, or if the mesh has no signers.

    The signers before it count; only the commit that creates allowed_signers vouches for itself.
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
            text = _REJECTED.format(f"signed by no key that {SIGNERS_FILE} had" if signed else "not signed")
            return "\n  ".join([text, *(in_copy(directory, command) for command in _SIGNING)])
    return ""


def fingerprint(directory: Path) -> str | None:
    """The fingerprint of the mesh as committed; None before the first commit, or if the mesh has no signers."""
    program = git.Git(str(directory))
    try:
        if program.rev_parse("--is-shallow-repository") == "true":
            raise ConfigError(f"{directory} is a shallow clone", hint="git fetch --unshallow")
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


def _knows_who(program: git.Git) -> bool:
    """Whether git has a committer, and would not refuse."""
    try:
        program.var("GIT_AUTHOR_IDENT"), program.var("GIT_COMMITTER_IDENT")
    except git.GitCommandError:
        return False
    return True


@contextmanager
def _refusal() -> Iterator[None]:
    """What git refuses is a MeshSyncError."""
    try:
        yield
    except git.GitCommandError as error:
        said = " ".join((error.stderr.partition("stderr: '")[2] or error.stderr).strip(" '\n").split())
        text = f"git refused the commit: {said or f'exit {error.status}'}"
        raise MeshSyncError(text) from None
