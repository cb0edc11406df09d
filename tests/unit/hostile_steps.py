"""What admins and nodes sign in a hostile mesh, and what a node makes of it when all its hosts show that."""

from __future__ import annotations

from mesh_sync.errors import Refused
from unit.hostile_mesh import ANNA, HostileMesh, peer

B, C = "b@node.lab", "c@node.lab"


def by_node(mesh: HostileMesh, parent: str, port: int, signer: str = B, **more: object) -> str:
    """A commit in which a node changes its own file."""
    name = signer[0]
    return mesh.commit(
        {**mesh.made[parent].files, f"peers/{name}.toml": peer(name, listen_port=port, **more)}, [parent], signer
    )


def by_admin(mesh: HostileMesh, parent: str, keepalive: int = 7, signer: str = ANNA) -> str:
    files = {**mesh.made[parent].files, "peers/d.toml": peer("d", persistent_keepalive=keepalive)}
    return mesh.commit(files, [parent], signer)


def takes(mesh: HostileMesh, commit: str, node: str = "a") -> None:
    mesh.show_everywhere(commit)
    found = mesh.nodes[node].poll()
    assert found.problem is None
    assert mesh.nodes[node].state.applied.commit == commit


def refuses(mesh: HostileMesh, commit: str, node: str = "a") -> str:
    mesh.show_everywhere(commit)
    found = mesh.nodes[node].poll()
    assert isinstance(found.problem, Refused)
    return found.problem.message


def at(mesh: HostileMesh, node: str = "a") -> str | None:
    return mesh.nodes[node].state.applied.commit
