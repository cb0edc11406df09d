"""`mesh-sync render`: the wg0.conf that nodes get from a working copy."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mesh_sync.check.examine import examine
from mesh_sync.errors import ConfigError, MeshSyncError
from mesh_sync.findings import errors
from mesh_sync.mesh.layout import MESH_FILE
from mesh_sync.mesh.model import NO_SECRET, Mesh
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from mesh_sync.preshared.derive import with_keys
from mesh_sync.preshared.secret_file import load
from mesh_sync.system.files import write_atomically
from mesh_sync.wireguard import conf
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.keys import public_key, read_private_key
from mesh_sync.workspace.working_copy import read


def render_one(directory: Path, name: str, private_key_file: Path | None, secret_file: Path | None = None) -> str:
    """The wg0.conf of one node; with placeholders for a private key or mesh secret that is not given.

    Raise MeshSyncError when the list has errors or does not have the node.
    """
    rendered = renderer(read(directory), str(directory))
    if name not in rendered.topology.members:
        raise ConfigError(f"{name} is not in the mesh", hint=f"it has: {', '.join(rendered.names[:20])}")
    desired = rendered.desired(name)
    if secret_file:
        desired = _with_keys(desired, rendered.mesh, secret_file)
    if private_key_file is None:
        return conf.text(desired)
    key = read_private_key(private_key_file)
    if public_key(key) != desired.public_key:
        raise ConfigError(f"{private_key_file} does not belong to the public key of {name}")
    return conf.text(desired, key)


def render_all(directory: Path, output: Path) -> int:
    """Write OUT/N.conf for every node of the list; return how many."""
    rendered = renderer(read(directory), str(directory))
    for name in rendered.names:
        write_atomically(output / f"{name}.conf", conf.text(rendered.desired(name)), durable=False)
    return len(rendered.names)


def renderer(tree: Tree, what: str) -> Renderer:
    """What renders a tree for its nodes. Raise MeshSyncError, which names it ``what``, when it has errors."""
    moment = datetime.now(UTC)
    mesh, findings = examine(tree, moment)
    wrong = errors(findings)
    if mesh is None or wrong:
        lines = "\n".join(map(str, wrong)) or f"{MESH_FILE} is missing"
        raise MeshSyncError(f"the list in {what} has errors:\n{lines}")
    return Renderer(mesh, moment)


def _with_keys(desired: Desired, mesh: Mesh, secret_file: Path) -> Desired:
    try:
        return with_keys(desired, mesh, load(secret_file))
    except KeyError:
        number = mesh.preshared.secret if mesh.preshared else NO_SECRET
        raise ConfigError(f"{secret_file} does not have secret {number}, the one in use") from None
