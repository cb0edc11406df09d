"""A joining node's own file in the list: written there, signed and pushed, or left to an admin."""

from __future__ import annotations

import tomllib
from collections.abc import Callable

from attrs import evolve, frozen

from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.membership.join_request import Request, peer_toml
from mesh_sync.membership.push import Author, Copy
from mesh_sync.mesh.addresses import free_addresses
from mesh_sync.mesh.layout import PEERS, SIGNERS_FILE
from mesh_sync.mesh.model import Peer
from mesh_sync.repository.git_words import public
from mesh_sync.trust import signers

Note = Callable[[str], None]


class NeedsAdmin(MeshSyncError):
    """This machine may not put itself into the list; the hint is the command for somebody who may."""


@frozen
class Keys:
    """The public halves of this machine's keys: WireGuard's, and where commits are signed the SSH key's."""

    wireguard: str
    signing: str = ""


def conflict(copy: Copy, request: Request, keys: Keys) -> None:
    """Raise ConfigError when the list has another machine under this name."""
    present = copy.mesh().peers.get(request.name)
    if present is not None and present.public_key != keys.wireguard:
        text = f"{request.name} is in the list already, with another public key"
        raise ConfigError(text, hint="choose another --name, or remove its file from the list first")


def enlist(copy: Copy, request: Request, keys: Keys, note: Note) -> tuple[str, ...]:
    """Add this node's file to the list and push it; return the node's addresses. Raise NeedsAdmin, nothing pushed."""
    mesh = copy.mesh()
    present = mesh.peers.get(request.name)
    if present is not None:
        conflict(copy, request, keys)
        note(f"{present.file} is in the list already" + _ignored(request, present))
        if request.is_signed and not _may_sign(copy, request, keys, mesh.name):
            word = f"mesh-sync signer add {request.name}@node.{mesh.name} '{keys.signing}' --commit"
            note(f"this machine may not sign changes of its own file; an admin could let it: {word}")
        return tuple(map(str, present.addresses))
    if request.review and (waiting := _waiting(copy, request, keys.wireguard)):
        note(f"the branch {request.target} is there already, with this machine's key; delete it to ask anew")
        return waiting
    if not request.is_signed and SIGNERS_FILE in copy.tree().texts:
        raise _needs_admin(
            "this mesh is signed: every node that verifies would stop at this machine's commit", request, keys
        )
    if request.is_signed and not _may_sign(copy, request, keys, mesh.name):
        raise _needs_admin(f"{SIGNERS_FILE} does not have the signing key of {request.name}", request, keys)
    addresses = request.addresses or tuple(map(str, free_addresses(mesh)))
    files = {f"{PEERS}{request.name}.toml": peer_toml(evolve(request, addresses=addresses), keys.wireguard)}
    copy.mesh(files)
    signing_key = request.signing_key_file if request.is_signed else None
    commit = copy.commit(files, f"{request.name}: joins the mesh", Author(request.name, mesh.name, signing_key))
    if request.is_signed:
        _check(copy, commit, request, keys)
    hint = "if only this branch is closed: --review pushes to one of its own. If this machine may not push at all, "
    hint += f"have it added, and join again: {request.by_an_admin(keys.wireguard, keys.signing)}"
    copy.push(commit, request.target, hint)
    note(f"pushed {', '.join(files)} to {request.target}" + (" for review" if request.review else ""))
    return addresses


def _may_sign(copy: Copy, request: Request, keys: Keys, mesh: str) -> bool:
    present = signers.parse(copy.tree().texts.get(SIGNERS_FILE, b""))[0]
    return keys.signing in {signer.key for signer in present.of(request.name, mesh)}


def _check(copy: Copy, commit: str, request: Request, keys: Keys) -> None:
    """Nodes have to take the commit, or it would keep all of them from what comes after it."""
    from mesh_sync.trust.verify_history import untrusted

    if problems := untrusted(copy.remote.bare.place, copy.head, commit).problems:
        raise _needs_admin(f"nodes would refuse this commit: {problems[0][1]}", request, keys)


def _needs_admin(text: str, request: Request, keys: Keys) -> NeedsAdmin:
    command = request.by_an_admin(keys.wireguard, keys.signing)
    hint = f"an admin adds it, in a working copy of the list, and pushes:\n  {command}\n  then join again, here"
    return NeedsAdmin(f"{text}; nothing was pushed", hint=hint)


def _ignored(request: Request, present: Peer) -> str:
    """The end of a sentence about what was asked for and is otherwise in the list."""
    asked = {"endpoint": request.endpoints, "subnets": request.subnets, "addresses": request.addresses}
    listed = {"endpoint": present.endpoint, "subnets": present.subnets, "addresses": present.addresses}
    other = [name for name, items in asked.items() if items and set(items) != set(map(str, listed[name]))]
    return f", and its {', '.join(other)} stay as they are there: change them in the list" if other else ""


def _waiting(copy: Copy, request: Request, key: str) -> tuple[str, ...]:
    """The addresses in this machine's own file on the branch for review; empty when there is no such branch."""
    commit = copy.branch(request.target)
    if commit is None:
        return ()
    try:
        peer = tomllib.loads(copy.remote.bare.tree(commit).texts[f"{PEERS}{request.name}.toml"].decode())
        known, addresses = peer["public_key"], tuple(map(str, peer["addresses"]))
    except (ValueError, KeyError, TypeError):
        known, addresses = "", ()
    if known != key:
        text = f"{public(request.url)} has a branch {request.target} already, and it is not this machine's"
        raise ConfigError(text, hint="choose another --name, or delete that branch first")
    return addresses
