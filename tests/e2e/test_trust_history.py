"""What is not signed as it should be is refused, wherever in the history it hides, and the next good commit counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.trusting import ADMIN, accepts, begin, refused, signed_mesh
from lab import Lab
from lab.mesh import Mesh, now_json

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def net(lab: Lab) -> Mesh:
    """Peers a and b, up, in a mesh whose commits two admins and the two nodes may sign."""
    return signed_mesh(lab)


@pytest.fixture
def mesh(net: Mesh) -> Iterator[Mesh]:
    with begin(net):
        yield net


def test_a_signed_commit_is_applied(mesh: Mesh) -> None:
    accepts(mesh)
    assert now_json(mesh.nodes["a"])["result"] == "in-sync"


def test_an_unsigned_head(mesh: Mesh) -> None:
    mesh.sign_as(None)
    bad = mesh.push()
    assert refused(mesh, bad) == f"commit {bad[:10]} is not signed"
    mesh.git("reset", "-q", "--hard", "HEAD^")
    accepts(mesh)


def test_an_unsigned_commit_under_a_signed_head(mesh: Mesh) -> None:
    mesh.sign_as(None)
    bad = mesh.commit()
    mesh.sign_as(ADMIN)
    head = mesh.push()
    assert refused(mesh, head) == f"commit {bad[:10]} is not signed"
    mesh.git("reset", "-q", "--hard", "HEAD^^")
    accepts(mesh)


def test_an_unsigned_commit_in_a_side_branch_that_an_admin_merges(mesh: Mesh) -> None:
    mesh.git("checkout", "-q", "-b", "side")
    mesh.sign_as(None)
    bad = mesh.commit()
    mesh.git("checkout", "-q", "main")
    mesh.sign_as(ADMIN)
    mesh.commit()
    mesh.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    head = mesh.push()
    assert refused(mesh, head) == f"commit {bad[:10]} is not signed"
    mesh.git("reset", "-q", "--hard", "HEAD^^")
    accepts(mesh)
