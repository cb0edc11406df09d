"""A mesh in which a node tries a commit, and goes back if it is cut off."""

from __future__ import annotations

import tomlkit

from lab import Lab
from lab.mesh import Mesh, stranger
from lab.ping import first_answer

DEADLINE = 12
"""Seconds: longer than a peer may take to answer, shorter than people's patience with tests."""
SHORT = {"deadline": DEADLINE}


GIT_HOST = ("203.0.113.10", "2001:db8::10")


def cover(mesh: Mesh, *addresses: str) -> None:
    """Make these the mesh's own, addresses of c: they are looked for in the tunnel, and nowhere else."""
    first, *_ = tomlkit.parse((mesh.folder / "peers/c.toml").read_text()).unwrap()["addresses"]
    mesh.set("c", addresses=[first, *addresses])
    mesh.set_mesh(networks=["10.0.0.0/24", *addresses])


def talking(lab: Lab, confirm: dict[str, int]) -> Mesh:
    """a and b, up and talking; nobody stands behind c, whom they know. Node a is a gateway, and confirms like this."""
    mesh = Mesh(lab)
    a, b = mesh.node("a", 11), mesh.node("b", 12)
    stranger(mesh, "c", 13)
    mesh.configure(a, confirm=confirm, gateway={"masquerade": "eth0"})
    mesh.push("good")
    mesh.now()
    first_answer(b, "10.0.0.11")
    return mesh
