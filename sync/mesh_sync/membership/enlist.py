"""What `mesh-sync join` is asked for, and the node's own file in the list: pushed, or left to an admin."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from mesh_sync.errors import ConfigError
from mesh_sync.membership.publish import Change, checked, publish, signing_problem
from mesh_sync.mesh.edit_toml import made
from mesh_sync.mesh.layout import SIGNERS_FILE, peer_path
from mesh_sync.mesh.manifest import read_peers
from mesh_sync.mesh.model import Peer
from mesh_sync.node.config import Repository
from mesh_sync.repository.fresh_copy import FreshCopy, Note
from mesh_sync.repository.git_command import public
from mesh_sync.repository.git_objects import tree_at
from mesh_sync.system.shell_words import join


@frozen(kw_only=True)
class JoinRequest:
    """What `mesh-sync join` is asked for: the command line's options, under their own names."""

    config: Path
    url: str
    name: str
    endpoints: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    interface: str = "wg0"
    masquerade: str = ""
    branch: str = "main"
    review: bool = False
    trust: str
    fingerprint: str | None = None
    signers: Path | None = None
    identity_file: Path | None = None
    known_hosts_file: Path | None = None

    @property
    def is_signed(self) -> bool:
        return self.trust == "signed"

    @property
    def private_key_file(self) -> Path:
        return self.config.parent / "private.key"

    @property
    def signing_key_file(self) -> Path:
        return self.config.absolute().parent / "signing.key"

    @property
    def signers_file(self) -> Path:
        return self.config.absolute().parent / "allowed_signers"

    @property
    def pinned_hosts_file(self) -> Path:
        """Where a host key is kept that ssh did not know."""
        return self.config.absolute().parent / "known_hosts"

    @property
    def target(self) -> str:
        """The branch that is pushed to."""
        return f"join/{self.name}" if self.review else self.branch

    @property
    def repository(self) -> Repository:
        return Repository(
            urls=(self.url,),
            branch=self.branch,
            identity_file=self.identity_file and self.identity_file.resolve(),
            known_hosts_file=self.known_hosts_file and self.known_hosts_file.resolve(),
        )

    def by_an_admin(self, key: str, signing_key: str = "") -> str:
        """The command with which an admin does what this machine may not do itself."""
        words = ["mesh-sync", "peer", "add", self.name, "--public-key", key]
        words += ["--signing-key", signing_key] if signing_key else []
        lists = (("--address", self.addresses), ("--endpoint", self.endpoints), ("--subnet", self.subnets))
        words += [word for option, items in lists for item in items for word in (option, item)]
        return join([*words, "--commit"])


def raise_if_taken(copy: FreshCopy, request: JoinRequest, public_key: str) -> None:
    """Raise ConfigError when the list has another machine under this name."""
    present = checked(copy).peers.get(request.name)
    if present is not None and present.public_key != public_key:
        text = f"{request.name} is in the list already, with another public key"
        raise ConfigError(text, hint="choose another --name, or remove its file from the list first")


def enlist(copy: FreshCopy, request: JoinRequest, key: str, ssh_key: str, note: Note) -> tuple[str, ...]:
    """Add this node's file to the list and push it; return the node's addresses. Raise NeedsAdmin, nothing pushed.

    ``key``: WireGuard's public key; ``ssh_key``: that of the signing key, empty where commits are not signed.
    """
    raise_if_taken(copy, request, key)
    mesh = checked(copy)
    signing_key = request.signing_key_file if request.is_signed else None
    if present := mesh.peers.get(request.name):
        note(f"{present.file} is in the list already" + _ignored(request, present))
        if signing_key and signing_problem(copy, request.name, mesh.name, signing_key):
            command = f"mesh-sync signer add {request.name}@node.{mesh.name} '{ssh_key}' --commit"
            note(f"this machine may not sign changes of its own file; an admin can allow it: {command}")
        return tuple(map(str, present.addresses))
    if request.review and (waiting := _waiting(copy, request, key)):
        note(f"the branch {request.target} is there already, with this machine's key; delete it to push it again")
        return waiting
    addresses = request.addresses or tuple(map(str, mesh.free_addresses()))
    lists = {"addresses": addresses, "endpoint": request.endpoints, "subnets": request.subnets}
    command = request.by_an_admin(key, ssh_key if SIGNERS_FILE in copy.tree.texts else "")
    by_admin = f"an admin adds it, in a working copy of the list, and pushes:\n  {command}\n  then join again, here"
    change = Change(
        node=request.name,
        path=peer_path(request.name),
        text=made({"public_key": key, **{name: items for name, items in lists.items() if items}}),
        message="joins the mesh",
        signing_key=signing_key,
        if_not_listed=by_admin,
        if_refused=by_admin,
        if_not_taken="if only this branch is protected, --review pushes to another one. If this machine may not push "
        f"anywhere, have it added, and join again: {command}",
    )
    publish(copy, change, request.target)
    note(f"pushed {change.path} to {request.target}" + (" for review" if request.review else ""))
    return addresses


def _ignored(request: JoinRequest, present: Peer) -> str:
    """The end of a sentence about what was asked for and is otherwise in the list."""
    asked = {"endpoint": request.endpoints, "subnets": request.subnets, "addresses": request.addresses}
    listed = {"endpoint": present.endpoint, "subnets": present.subnets, "addresses": present.addresses}
    other = [name for name, items in asked.items() if items and set(items) != set(map(str, listed[name]))]
    return f", and its {', '.join(other)} stay as they are there: change them in the list" if other else ""


def _waiting(copy: FreshCopy, request: JoinRequest, key: str) -> tuple[str, ...]:
    """The addresses in this machine's own file on the branch for review; empty when there is no such branch."""
    commit = copy.fetch(request.target)
    if commit is None:
        return ()
    peer = read_peers(tree_at(copy.objects, commit).texts, []).get(request.name)
    if peer is None or peer.public_key != key:
        text = f"{public(request.url)} has a branch {request.target} already, and it is not this machine's"
        raise ConfigError(text, hint="choose another --name, or delete that branch first")
    return tuple(map(str, peer.addresses))
