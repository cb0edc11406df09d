"""Where a node's trust in its mesh begins: what a person compares, and what that then proves about the newest commit.

What is compared covers the first commit and the admins' keys. From there signatures lead on: the newest commit that one
of these admins has signed vouches for all of its files, nodes' keys included; each commit after that one has to be
signed as nodes require.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import CommandError, ConfigError, Refused
from mesh_sync.findings import errors, printable
from mesh_sync.membership.publish import checked
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.node import state as states
from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.node.state import State
from mesh_sync.repository.fresh_copy import FreshCopy
from mesh_sync.system.lock import locked
from mesh_sync.trust import git_history, signers
from mesh_sync.trust.authorization import Untrusted
from mesh_sync.trust.signers import Signer, Signers
from mesh_sync.trust.verify_history import verify_clone, verify_history


@frozen
class Claim:
    """What a git host says about a mesh, and nothing proves yet; ``content`` is its list of signers, ``first`` and
    ``newest`` are commits as people name them.
    """

    mesh: str
    content: bytes
    signers: Signers
    fingerprint: str
    first: str
    newest: str

    def lines(self) -> Iterator[str]:
        """What a person compares, one thing a line."""
        for one in self.signers.entries:
            yield f"{'node  ' if one.is_node else 'admin '}  {one.principal}  {one.kind} {one.fingerprint}"
        yield f"begun     {self.first}"
        yield f"newest    {self.newest}"
        yield f"mesh      {printable(self.mesh)}, fingerprint {self.fingerprint}"


def read_claim(copy: FreshCopy) -> Claim:
    """What the copy says about itself. Raise ConfigError when it has no signers to trust."""
    content = copy.tree.texts.get(SIGNERS_FILE)
    if content is None:
        hint = "`mesh-sync signer add` begins it; --trust none accepts every commit from everyone who can push"
        raise ConfigError(f"this mesh has no {SIGNERS_FILE}, so nothing in it is signed", hint=hint)
    present, findings = signers.parse(content)
    if wrong := errors(findings):
        raise ConfigError("\n".join(map(str, wrong)))
    words = ("rev-list", "--first-parent", "--max-parents=0", copy.head)
    first = copy.objects.git(*words).decode().strip()
    fingerprint = signers.fingerprint(first, present)
    return Claim(checked(copy).name, content, present, fingerprint, _label(copy, first), _label(copy, copy.head))


def _label(copy: FreshCopy, commit: str) -> str:
    printed = copy.objects.git("log", "-1", "--format=of %cs by %an <%ae>", commit, "--").decode(errors="replace")
    return f"{commit[:10]} {printable(printed.strip())}"


def admins_in(file: Path) -> tuple[Signer, ...]:
    """The admins of a file that came by another way than the git host. Raise ConfigError when it has none."""
    try:
        present, findings = signers.parse(file.read_bytes(), str(file))
    except OSError as error:
        raise ConfigError(f"--signers: {file} cannot be read: {error.strerror}") from None
    if wrong := errors(findings):
        raise ConfigError("--signers: " + "\n".join(map(str, wrong)))
    if not present.admins:
        raise ConfigError(f"--signers: {file} has no admin")
    return present.admins


def verify_claim(copy: FreshCopy, admins: tuple[Signer, ...]) -> None:
    """Raise Refused unless these admins vouch for the newest commit, by themselves or through those they let sign."""
    anchor = _newest_signed_by(copy, {signer.key for signer in admins})
    with tempfile.NamedTemporaryFile(prefix="mesh-sync-") as file:
        file.write(signers.text(admins).encode())
        file.flush()
        trust = Trust(mode="signed", allowed_signers=Path(file.name))
        node = Node(name="new", repository=Repository(urls=(copy.url,)), trust=trust)
        try:
            problem = verify_history(node, State(), anchor, copy.objects, lambda text: None)[1]
        except CommandError as error:
            raise Refused(f"the history cannot be read: {error.message}") from None
    if problem:
        raise Refused(problem.message)
    raise_unless_verified(copy, anchor)


def raise_unless_verified(copy: FreshCopy, base: str) -> None:
    """Raise Refused unless a node that trusts ``base`` accepts the newest commit."""
    for problem in verify_clone(copy.remote.bare.place, base, copy.head).problems:
        raise Refused(problem)


def _newest_signed_by(copy: FreshCopy, keys: set[str]) -> str:
    """The newest commit that says it was signed with one of these keys: not proven yet."""
    try:
        history = {commit.name: commit for commit in git_history.commits(copy.objects, copy.head, [])}
    except Untrusted as problem:
        raise Refused(str(problem)) from None
    name = copy.head
    while commit := history.get(name):
        if commit.key in keys:
            return name
        name = commit.parents[0] if commit.parents else ""
    raise Refused(f"none of these admins has signed commit {copy.head[:10]}, nor one before it")


def advance(node: Node, copy: FreshCopy) -> None:
    """Verify the newest commit on a node whose trust has begun; `now` continues from there. Raise Refused."""
    with locked(node.run_lock_file):
        before = states.load(node.state_file)
        state, problem = verify_history(node, before, copy.head, copy.objects, lambda text: None)
        if problem:
            raise problem
        states.save(node.state_file, state)
