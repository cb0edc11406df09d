"""What several unit tests begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.judging_node import SignedMesh
from unit.signed_history import History, make_keys


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> None:
    make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def history(tmp_path: Path, keys: None) -> History:
    return History(tmp_path)


@pytest.fixture(scope="session")
def first_signed(tmp_path_factory: pytest.TempPathFactory) -> SignedMesh:
    return SignedMesh(tmp_path_factory.mktemp("signed") / "mesh")


@pytest.fixture
def signed(first_signed: SignedMesh, tmp_path: Path) -> SignedMesh:
    """A mesh whose commits are signed, and its node a, which has applied the first one."""
    return first_signed.copied(tmp_path / "signed")
