"""Looking at a mesh repository on an operator's machine: check, render, plan. Touches no interface."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from mesh_sync.check.examine import examine
from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.findings import Finding, errors
from mesh_sync.mesh.layout import MESH_FILE
from mesh_sync.mesh.model import NO_SECRET, Mesh
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree, from_directory
from mesh_sync.preshared.derive import with_keys
from mesh_sync.preshared.secret_file import load
from mesh_sync.system.files import write_atomically
from mesh_sync.wireguard import conf
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.key_rollover import placed
from mesh_sync.wireguard.keys import public_key, read_private_key
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.plan import Change, Context, plan
from mesh_sync.workspace.working_copy import reviewed


def examine_directory(directory: Path) -> tuple[Mesh | None, tuple[Finding, ...]]:
    """Read and check a working copy. Raise ConfigError when it cannot be read at all."""
    return reviewed(_read(directory), datetime.now(UTC))


def render_one(directory: Path, name: str, private_key_file: Path | None, secret_file: Path | None = None) -> str:
    """The wg0.conf of one node; placeholders stand where the private key or the mesh secret is not given.

    Raise MeshSyncError when the list has errors or does not have the node.
    """
    renderer = _renderer(_read(directory), str(directory))
    if name not in renderer.topology.members:
        raise ConfigError(f"{name} is not in the mesh", hint=f"it has: {', '.join(renderer.names[:20])}")
    desired = renderer.desired(name)
    if secret_file:
        desired = _with_keys(desired, renderer.mesh, secret_file)
    if private_key_file is None:
        return conf.text(desired)
    key = read_private_key(private_key_file)
    if public_key(key) != desired.public_key:
        raise ConfigError(f"{private_key_file} does not belong to the public key of {name}")
    return conf.text(desired, key)


def _with_keys(desired: Desired, mesh: Mesh, secret_file: Path) -> Desired:
    try:
        return with_keys(desired, mesh, load(secret_file))
    except KeyError:
        number = mesh.preshared.secret if mesh.preshared else NO_SECRET
        raise ConfigError(f"{secret_file} does not have secret {number}, the one in use") from None


def render_all(directory: Path, output: Path) -> int:
    """Write OUT/N.conf for every node of the list; return how many."""
    renderer = _renderer(_read(directory), str(directory))
    for name in renderer.names:
        write_atomically(output / f"{name}.conf", conf.text(renderer.desired(name)), durable=False)
    return len(renderer.names)


def plan_between(directory: Path, revisions: str) -> dict[str, tuple[Change, ...]]:
    """What the change BASE..HEAD does to every node that is in either; BASE alone: up to the working copy."""
    from mesh_sync.workspace.revision import tree_at

    base, dots, head = revisions.partition("..")
    before = _renderer(tree_at(directory, base or "HEAD"), base)
    after = _renderer(tree_at(directory, head or "HEAD") if dots else _read(directory), head or str(directory))
    names = sorted({*before.names, *after.names})
    return {name: changes for name in names if (changes := _changes(name, before, after))}


def _changes(name: str, before: Renderer, after: Renderer) -> tuple[Change, ...]:
    if name not in after.topology.members:
        return (Change("node-removed", "leaves the mesh: no other node has it as a peer any more", name),)
    desired = after.desired(name)
    if name not in before.topology.members:
        return (Change("node-added", f"joins the mesh with {len(desired.peers)} peers", name),)
    old = placed(before.desired(name), None, 0.0)
    live = _as_live(old)
    context = Context(
        owned=old.owned,
        given={peer.public_key: ", ".join(peer.endpoint) for peer in old.peers},
        names={peer.public_key: peer.name for peer in old.peers},
        now=time.time(),
    )
    return plan(placed(desired, live, context.now), live, context)


def _as_live(desired: Desired) -> Live:
    """The interface of a node that has applied ``desired``."""
    peers = {
        peer.public_key: LivePeer(
            public_key=peer.public_key,
            allowed_ips=peer.allowed_ips,
            endpoint=peer.endpoint[0] if peer.endpoint else "",
            keepalive=peer.keepalive,
            preshared_key=peer.preshared_key,
        )
        for peer in desired.peers
    }
    return Live(
        public_key=desired.public_key, listen_port=desired.listen_port, fwmark=desired.fwmark, mtu=desired.mtu, up=True,
        addresses=desired.addresses, routes=desired.routes, peers=peers,
    )  # fmt: skip


def _read(directory: Path) -> Tree:
    try:
        return from_directory(directory)
    except OSError as error:
        raise ConfigError(f"{directory} cannot be read: {error}") from None


def _renderer(tree: Tree, what: str) -> Renderer:
    moment = datetime.now(UTC)
    mesh, findings = examine(tree, moment)
    wrong = errors(findings)
    if mesh is None or wrong:
        lines = "\n".join(map(str, wrong)) or f"{MESH_FILE} is missing"
        raise MeshSyncError(f"the list in {what} has errors:\n{lines}")
    return Renderer(mesh, moment)
