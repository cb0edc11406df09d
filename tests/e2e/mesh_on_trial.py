"""A mesh in which a node tries a commit, and goes back if it is cut off."""

from __future__ import annotations

from lab import Lab
from lab.mesh import Mesh, stranger
from lab.ping import first_answer

DEADLINE = 12
"""Seconds: longer than a peer may take to answer, shorter than people's patience with tests."""
SHORT = {"deadline": DEADLINE}


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
