"""A node as far as it judges what its remote offers: it fetches, verifies and checks. Its interface is left out."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from copy import copy
from pathlib import Path

from attrs import evolve

from lab.mesh_repository import MeshRepository
from mesh_sync.errors import Refused
from mesh_sync.node.clock import trusted
from mesh_sync.node.config import Node, Paths, Repository, Trust
from mesh_sync.node.state import State
from mesh_sync.reconcile.heads import verdict_on
from mesh_sync.reconcile.verdict import Verdict
from mesh_sync.repository.remote import asked, remotes
from mesh_sync.wireguard import keys

ADMIN, OTHER, NODE_A, NODE_B = "anna@example.org", "otto@example.org", "a@node.lab", "b@node.lab"
_keepalives = itertools.count(1)


class Here:
    """The operator's machine is this one."""

    def run(self, argv: Sequence[str | Path], *, input: str | None = None) -> subprocess.CompletedProcess[str]:
        who = {
            f"GIT_{role}_{what}": "operator@example.org"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        env = {**os.environ, **who, **settings}
        return subprocess.run(argv, input=input, env=env, check=True, capture_output=True, text=True, timeout=20)

    def path(self, path: str) -> Path:
        return Path(path)


class SignedMesh(MeshRepository):
    """Peers a and b; two admins and both nodes may sign. `node` is a, which has applied the first commit."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.bare = home / "mesh.git"
        Here().run(["git", "init", "-q", "--bare", "-b", "main", self.bare])
        super().__init__(Here(), str(home), str(self.bare))
        self.private = {name: keys.generate() for name in "ab"}
        for number, (name, private) in enumerate(self.private.items(), start=21):
            endpoint = f"{name}.example:51820"
            self.set(name, public_key=keys.public_key(private), addresses=[f"10.0.0.{number}"], endpoint=endpoint)
        self.allow(ADMIN, OTHER, NODE_A, NODE_B)
        self.sign_as(ADMIN)
        self.first = self.push("two peers")
        self.state = State()
        self.install(home)
        applied(self, self.first)

    def install(self, home: Path) -> None:
        """Make the node, with its files below ``home``."""
        self.own = home / "own"
        self.own.mkdir(mode=0o700, exist_ok=True)
        (self.own / "private.key").touch(mode=0o600)
        self.hold(self.private["a"])
        paths = Paths(state=self.own / "state", run=self.own / "run", wireguard=self.own / "wireguard")
        repository, trust = Repository(urls=(self.url,)), Trust(mode="none")
        key_file = self.own / "private.key"
        self.node = Node(name="a", private_key_file=key_file, repository=repository, trust=trust, paths=paths)
        self.trust(ADMIN, first_commit=self.first)

    def copied(self, home: Path) -> SignedMesh:
        """The same in another folder, which is quicker than to begin again."""
        shutil.copytree(self.home, home, symlinks=True)
        other = copy(self)
        other.bare, other.home, other.work = home / "mesh.git", str(home), f"{home}/mesh"
        other.url, other.folder = str(other.bare), home / "mesh"
        other.install(home)
        return other

    def hold(self, private: str) -> None:
        """Put another private key in place on the node."""
        (self.own / "private.key").write_text(private + "\n")

    def trust(self, *principals: str, first_commit: str | None = None) -> None:
        """Have the node verify signatures, beginning with these of root's own file."""
        file = self.own / "allowed_signers"
        file.write_text("".join(map(self.line, principals)))
        file.chmod(0o644)
        self.node = evolve(self.node, trust=Trust(mode="signed", allowed_signers=file, first_commit=first_commit))

    def ask(self, *urls: str) -> None:
        """Let the node ask these remotes."""
        self.node = evolve(self.node, repository=Repository(urls=urls))

    def lose_copy(self) -> None:
        """The node's bare copy of the list goes."""
        shutil.rmtree(self.node.bare_repository)

    def look(self, *, retry: bool = False) -> Verdict:
        """Let the node judge what the remote offers, as `now` does before it plans, and remember what it made of it."""
        with asked(remotes(self.node)) as request:
            verdict = verdict_on(
                self.node, self.state, request, trusted(time.time()), retry=retry, note=lambda text: None
            )
        self.state = verdict.after
        return verdict


def refused(mesh: SignedMesh, commit: str) -> str:
    """The node refuses the head, and keeps what it had; return why."""
    before = mesh.state.applied.commit, mesh.state.applied.desired
    found = mesh.look()
    assert isinstance(found.problem, Refused), found
    assert mesh.state.remote.refusal is not None
    assert mesh.state.remote.refusal.commit == commit
    assert (mesh.state.applied.commit, mesh.state.applied.desired) == before
    return found.problem.message


def findings(mesh: SignedMesh, commit: str) -> list[str]:
    """The same, for what the check has found."""
    refused(mesh, commit)
    assert mesh.state.remote.refusal is not None
    return [str(finding) for finding in mesh.state.remote.refusal.findings]


def applied(mesh: SignedMesh, commit: str) -> None:
    """The node takes the head, which is this commit, and refuses nothing any more."""
    found = mesh.look()
    assert found.problem is None
    assert (mesh.state.applied.commit, mesh.state.remote.refusal) == (commit, None)


def accepts(mesh: SignedMesh) -> str:
    """A good commit on top of what the operator has is taken; return it."""
    mesh.sign_as(ADMIN)
    mesh.set("a", persistent_keepalive=next(_keepalives))
    commit = mesh.commit("good")
    mesh.publish(force=True)
    applied(mesh, commit)
    return commit


def back(mesh: SignedMesh, commit: str | None = None) -> SignedMesh:
    """The operator goes back to a commit, else to the one that the node has applied, to go on from there."""
    mesh.git("reset", "-q", "--hard", commit or mesh.state.applied.commit or "")
    return mesh
