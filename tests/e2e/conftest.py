"""What e2e tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.failing_git_host import ask
from e2e.signed_mesh import begin, signed_mesh
from lab import Lab, Node
from lab.logged import LoggedPrograms, LogsByNode
from lab.mesh import Mesh, now, two_peers
from lab.ping import first_answer


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One lab for all tests of a file."""
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Mesh:
    """Peers a and b, up and talking."""
    mesh = two_peers(lab)
    first_answer(mesh.nodes["a"], "10.0.0.22")
    return mesh


@pytest.fixture
def a(mesh: Mesh) -> Iterator[Node]:
    """Node a of it, whose git host is about to fail; afterwards it is well again."""
    node = mesh.nodes["a"]
    yield node
    ask(mesh, node, mesh.url, deadline=20)
    now(node)


@pytest.fixture(scope="module")
def signed_net(lab: Lab) -> Mesh:
    """Peers a and b, up, in a mesh whose commits two admins and the two nodes may sign; a verifies them."""
    return signed_mesh(lab)


@pytest.fixture
def signed(signed_net: Mesh) -> Iterator[Mesh]:
    """The same, and a trusts the list as it is now."""
    with begin(signed_net):
        yield signed_net


@pytest.fixture
def logged(tmp_path: Path) -> LoggedPrograms:
    """`wg`, `ip` and `nft` that log their argv: `now(node, env=logged.env)`, then `logged.writes()`."""
    return LoggedPrograms(tmp_path)


@pytest.fixture
def logs(tmp_path: Path) -> LogsByNode:
    """The same, for each node its own: `logs[NAME]`."""
    return LogsByNode(tmp_path)
