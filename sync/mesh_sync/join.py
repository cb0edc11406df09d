"""`mesh-sync join`: make this machine a node: key, address, its file in the list, node.toml.

Safe to repeat: the key is kept, and a list that has this node already is left alone.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import tomlkit
from attrs import evolve, frozen

from mesh_sync import node as nodes
from mesh_sync.contribution import Author, Copy, copied, until_pushed
from mesh_sync.errors import ConfigError
from mesh_sync.files import write_atomically
from mesh_sync.free_addresses import free_addresses
from mesh_sync.keys import public_key, read_private_key, write_private_key
from mesh_sync.manifest import PEERS
from mesh_sync.model import LABEL, Peer
from mesh_sync.node import Repository
from mesh_sync.peer_file import made
from mesh_sync.remote import public


@frozen(kw_only=True)
class Request:
    """What was asked for on the command line; named as its options are."""

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
    identity_file: Path | None = None
    known_hosts_file: Path | None = None

    @property
    def private_key_file(self) -> Path:
        return self.config.parent / "private.key"

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


@frozen
class Joined:
    """Who this machine is now."""

    name: str
    addresses: tuple[str, ...]


def join(request: Request, note: Callable[[str], None]) -> Joined:
    """Do it all. Raise ConfigError (2), Unreachable (3), or MeshSyncError (1) when the list has errors."""
    _validate(request)
    key = _key(request, note)
    addresses = until_pushed(lambda: _enlist(request, key, note), request.url, note)
    if not request.config.exists():
        write_atomically(request.config, node_toml(request))
        note(f"wrote {request.config}")
    elif nodes.load(request.config) != _node(request):
        note(f"{request.config} is there already and stays as it is; it is yours to edit")
    return Joined(request.name, addresses)


def _validate(request: Request) -> None:
    if not LABEL.fullmatch(request.name):
        raise ConfigError(f"--name: {request.name!r} is not a lower-case DNS label (a-z, 0-9, -, at most 63)")
    _node(request)
    if request.config.exists() and (present := nodes.load(request.config)).name != request.name:
        text = f"{request.config} says that this machine is {present.name}"
        raise ConfigError(text, hint="remove it if that is over, or give another --config")


def _node(request: Request) -> nodes.Node:
    """What this machine's node.toml would say. Raise ConfigError when that is no good."""
    return nodes.parse(node_toml(request), Path("(the node.toml to be written)"))


def _key(request: Request, note: Callable[[str], None]) -> str:
    file = request.private_key_file
    if file.exists():
        note(f"keeping the private key in {file}")
        return public_key(read_private_key(file))
    key = write_private_key(file)
    note(f"made a private key in {file}; it never leaves this machine")
    return key


def _enlist(request: Request, key: str, note: Callable[[str], None]) -> tuple[str, ...]:
    """Add this node's file to the list and push it; return the node's addresses."""
    with copied(request.repository, request.url) as copy:
        mesh = copy.mesh()
        present = mesh.peers.get(request.name)
        if present is not None:
            if present.public_key != key:
                text = f"{request.name} is in the list already, with another public key"
                raise ConfigError(text, hint="choose another --name, or remove its file from the list first")
            note(f"{present.file} is in the list already" + _ignored(request, present))
            return tuple(map(str, present.addresses))
        if request.review and (waiting := _waiting(copy, request, key)):
            note(f"the branch {request.target} is there already, with this machine's key; delete it to ask anew")
            return waiting
        addresses = request.addresses or tuple(map(str, free_addresses(mesh)))
        files = {f"{PEERS}{request.name}.toml": peer_toml(evolve(request, addresses=addresses), key)}
        copy.mesh(files)
        commit = copy.commit(files, f"{request.name}: joins the mesh", Author(request.name, mesh.name))
        hint = "if only this branch is closed: --review pushes to one of its own. If this machine may not push at all, "
        hint += f"have it added, and join again: mesh-sync peer add {request.name} --public-key {key}"
        copy.push(commit, request.target, hint)
        note(f"pushed {', '.join(files)} to {request.target}" + (" for review" if request.review else ""))
        return addresses


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
        peer = tomllib.loads(copy.remote.tree(commit).texts[f"{PEERS}{request.name}.toml"].decode())
        known, addresses = peer["public_key"], tuple(map(str, peer["addresses"]))
    except (ValueError, KeyError, TypeError):
        known, addresses = "", ()
    if known != key:
        text = f"{public(request.url)} has a branch {request.target} already, and it is not this machine's"
        raise ConfigError(text, hint="choose another --name, or delete that branch first")
    return addresses


def peer_toml(request: Request, key: str) -> str:
    """The peer's file in the list."""
    lists = {"addresses": request.addresses, "endpoint": request.endpoints, "subnets": request.subnets}
    return made({"public_key": key, **{name: items for name, items in lists.items() if items}})


def node_toml(request: Request) -> str:
    """This machine's node.toml: what was asked for; everything else has its default."""
    document = tomlkit.document()
    document.add(tomlkit.comment("This machine's place in the mesh. It belongs to root and never goes into git."))
    document["name"] = request.name
    document["interface"] = request.interface
    document["private_key_file"] = str(request.private_key_file.absolute())
    repository = tomlkit.table()
    repository["urls"] = [request.url]
    repository["branch"] = request.branch
    for name in ("identity_file", "known_hosts_file"):
        if file := getattr(request.repository, name):
            repository[name] = str(file)
    document["repository"] = repository
    document["trust"] = {"mode": request.trust}
    if request.masquerade:
        document["gateway"] = {"masquerade": request.masquerade}
    return tomlkit.dumps(document)
