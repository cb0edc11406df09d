"""Where a node's trust in its mesh begins: what a person compares, and what that then proves about the newest commit.

What is compared covers the first commit and the admins' keys. From there signatures lead on: the newest commit that one
of these admins has signed vouches for all of its files, nodes' keys included; and each commit after that one has to be
signed as nodes want it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import CommandError, ConfigError, Refused
from mesh_sync.findings import errors, printable
from mesh_sync.membership.push import Copy
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.node import state as states
from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.node.state import State
from mesh_sync.repository.git_dir import GitDir
from mesh_sync.system.lock import locked
from mesh_sync.trust import git_history, signers
from mesh_sync.trust.authorization import Untrusted
from mesh_sync.trust.signers import Signer, Signers
from mesh_sync.trust.verify_history import judge, untrusted


@frozen
class Told:
    """A commit as people name it."""

    commit: str
    date: str
    author: str

    def __str__(self) -> str:
        return f"{self.commit[:10]} of {self.date} by {self.author}"


@frozen
class Beginning:
    """A mesh as a stranger finds it."""

    mesh: str
    content: bytes
    signers: Signers
    first: Told
    head: Told

    @property
    def fingerprint(self) -> str:
        return signers.fingerprint(self.first.commit, self.signers)

    def lines(self) -> Iterator[str]:
        """What a person compares, one thing a line."""
        for one in self.signers.entries:
            yield f"{'node  ' if one.is_node else 'admin '}  {one.principal}  {one.kind} {one.fingerprint}"
        yield f"begun     {self.first}"
        yield f"newest    {self.head}"
        yield f"mesh      {printable(self.mesh)}, fingerprint {self.fingerprint}"


def found(copy: Copy) -> Beginning:
    """What the copy says of itself; nothing of it is proven. Raise ConfigError when it names nobody to trust."""
    content = copy.tree().texts.get(SIGNERS_FILE)
    if content is None:
        text = f"this mesh has no {SIGNERS_FILE}, so nothing in it is signed"
        raise ConfigError(
            text, hint="`mesh-sync signer add` begins it; --trust none takes every commit of whoever can push"
        )
    present, findings = signers.parse(content)
    if wrong := errors(findings):
        raise ConfigError("\n".join(map(str, wrong)))
    first = copy.remote.bare.git("rev-list", "--first-parent", "--max-parents=0", copy.head)
    return Beginning(copy.mesh().name, content, present, _told(copy, first), _told(copy, copy.head))


def _told(copy: Copy, commit: str) -> Told:
    date, author = copy.remote.bare.git("log", "-1", "--format=%cs%n%an <%ae>", commit, "--").split("\n", 1)
    return Told(commit, printable(date), printable(author))


def given(file: Path) -> tuple[Signer, ...]:
    """The admins of a file that came another way than by the git host. Raise ConfigError when it has none."""
    try:
        present, findings = signers.parse(file.read_bytes(), str(file))
    except OSError as error:
        raise ConfigError(f"--signers: {file} cannot be read: {error.strerror}") from None
    if wrong := errors(findings):
        raise ConfigError("--signers: " + "\n".join(map(str, wrong)))
    if not present.admins:
        raise ConfigError(f"--signers: {file} has no admin")
    return present.admins


def check(copy: Copy, admins: tuple[Signer, ...]) -> None:
    """Raise Refused unless these admins vouch for the newest commit, by themselves or by those whom they let sign."""
    anchor = _newest_of(copy, {signer.key for signer in admins})
    with tempfile.NamedTemporaryFile(prefix="mesh-sync-") as file:
        file.write(signers.text(admins).encode())
        file.flush()
        trust = Trust(mode="signed", allowed_signers=Path(file.name))
        node = Node(name="new", repository=Repository(urls=(copy.url,)), trust=trust)
        try:
            problem = judge(node, State(), anchor, GitDir(copy.remote.bare.place), lambda text: None)[1]
        except CommandError as error:
            raise Refused(f"the history cannot be read: {error.message}") from None
    if problem:
        raise Refused(problem.message)
    if problems := untrusted(copy.remote.bare.place, anchor, copy.head).problems:
        raise Refused(problems[0][1])


def _newest_of(copy: Copy, keys: set[str]) -> str:
    """The newest commit that says it was signed with one of these keys: not proven yet."""
    try:
        history = {commit.name: commit for commit in git_history.commits(GitDir(copy.remote.bare.place), copy.head, [])}
    except Untrusted as problem:
        raise Refused(str(problem)) from None
    name = copy.head
    while commit := history.get(name):
        if commit.key in keys:
            return name
        name = commit.parents[0] if commit.parents else ""
    raise Refused(f"none of these admins has signed commit {copy.head[:10]}, nor one before it")


def go_on(node: Node, copy: Copy) -> None:
    """Trust the newest commit on a node that has its beginning; `now` goes on from there. Raise Refused."""
    with locked(node.run_lock_file):
        state, problem = judge(
            node, states.load(node.state_file), copy.head, GitDir(copy.remote.bare.place), lambda text: None
        )
        if problem:
            raise problem
        states.save(node.state_file, state)
