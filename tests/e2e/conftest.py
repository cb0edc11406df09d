"""What e2e tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from lab.logged import LoggedPrograms


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One lab for all tests of a file."""
    with Lab() as lab:
        yield lab


@pytest.fixture
def logged(tmp_path: Path) -> LoggedPrograms:
    """`wg`, `ip` and `nft` that log their argv: `now(node, env=logged.env)`, then `logged.writes()`."""
    return LoggedPrograms(tmp_path)
