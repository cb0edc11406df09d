"""A joining node's own file in the list: written there and pushed, or left to an admin."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen

from mesh_sync.errors import ConfigError
from mesh_sync.membership.join_request import JoinRequest, peer_toml
from mesh_sync.membership.publish import Change, checked, publish, signing_problem
from mesh_sync.mesh.addresses import free_addresses
from mesh_sync.mesh.layout import peer_path
from mesh_sync.mesh.manifest import read_peers
from mesh_sync.mesh.model import Peer
from mesh_sync.repository.commit_tree import tree_at
from mesh_sync.repository.fresh_copy import FreshCopy
from mesh_sync.repository.git_words import public

Note = Callable[[str], None]


@frozen
class PublicKeys:
    """The public halves of this machine's keys: WireGuard's, and where commits are signed the SSH key's."""

    wireguard: str
    signing: str = ""


def raise_if_taken(copy: FreshCopy, request: JoinRequest, public_key: str) -> None:
    """Raise ConfigError when the list has another machine under this name."""
    present = checked(copy).peers.get(request.name)
    if present is not None and present.public_key != public_key:
        text = f"{request.name} is in the list already, with another public key"
        raise ConfigError(text, hint="choose another --name, or remove its file from the list first")


def enlist(copy: FreshCopy, request: JoinRequest, keys: PublicKeys, note: Note) -> tuple[str, ...]:
    """Add this node's file to the list and push it; return the node's addresses. Raise NeedsAdmin, nothing pushed."""
    raise_if_taken(copy, request, keys.wireguard)
    mesh = checked(copy)
    signing_key = request.signing_key_file if request.is_signed else None
    if present := mesh.peers.get(request.name):
        note(f"{present.file} is in the list already" + _ignored(request, present))
        if signing_key and signing_problem(copy, request.name, mesh.name, signing_key):
            command = f"mesh-sync signer add {request.name}@node.{mesh.name} '{keys.signing}' --commit"
            note(f"this machine may not sign changes of its own file; an admin can allow it: {command}")
        return tuple(map(str, present.addresses))
    if request.review and (waiting := _waiting(copy, request, keys.wireguard)):
        note(f"the branch {request.target} is there already, with this machine's key; delete it to push it again")
        return waiting
    addresses = request.addresses or tuple(map(str, free_addresses(mesh)))
    command = request.by_an_admin(keys.wireguard, keys.signing)
    by_admin = f"an admin adds it, in a working copy of the list, and pushes:\n  {command}\n  then join again, here"
    change = Change(
        node=request.name,
        path=peer_path(request.name),
        text=peer_toml(evolve(request, addresses=addresses), keys.wireguard),
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
