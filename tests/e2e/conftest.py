"""What e2e tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.signed_mesh import begin, signed_mesh
from lab import Lab
from lab.logged import LoggedPrograms
from lab.mesh import Mesh


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One lab for all tests of a file."""
    with Lab() as lab:
        yield lab


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
