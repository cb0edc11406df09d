"""What several unit tests begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.signed_history import History, make_keys


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> None:
    make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def history(tmp_path: Path, keys: None) -> History:
    return History(tmp_path)
