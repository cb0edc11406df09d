"""What several unit tests begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from unit import hostile_mesh
from unit.git_identity import VARIABLES, as_alice
from unit.hostile_mesh import HostileMesh
from unit.judging_node import SignedMesh
from unit.list_keeper import Operator
from unit.signed_history import History, make_keys


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> None:
    make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def history(tmp_path: Path, keys: None) -> History:
    return History(tmp_path)


@pytest.fixture(scope="session")
def hostile_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile-keys")
    hostile_mesh.make_keys(folder)
    return folder


@pytest.fixture
def mesh(tmp_path: Path, hostile_keys: Path) -> Iterator[HostileMesh]:
    """A mesh with hostile hosts, node keys and pushers; nodes a, b and d have applied its first commit."""
    mesh = HostileMesh(tmp_path, hostile_keys)
    yield mesh
    mesh.close()


@pytest.fixture(scope="session")
def first_signed(tmp_path_factory: pytest.TempPathFactory) -> SignedMesh:
    return SignedMesh(tmp_path_factory.mktemp("signed") / "mesh")


@pytest.fixture
def signed(first_signed: SignedMesh, tmp_path: Path) -> SignedMesh:
    """A mesh whose commits are signed, and its node a, which has applied the first one."""
    return first_signed.copied(tmp_path / "signed")


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    as_alice(monkeypatch)
    made = Operator(tmp_path / "mesh")
    for name in VARIABLES:
        monkeypatch.delenv(name)
    return made
