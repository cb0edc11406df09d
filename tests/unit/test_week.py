"""A day of sixty nodes within some hours, with the real policy on two of them (`sim.large` says what is modelled)."""

from __future__ import annotations

import pytest

from mesh_watchdog.policy import crowd, polling, watched
from sim.large import Life, Mesh

NODES, DAYS, PACE = 60, 0.03, 32
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty are many."""
    for module in (crowd, polling, watched):
        monkeypatch.setattr(module, "LARGE", NODES // 2)


def life(seed: int) -> Life:
    lived = Life(Mesh(seed, NODES, ("named", "easy")), DAYS, pace=PACE)
    lived.run()
    return lived


def test_no_pair_is_lost_nothing_grows_and_all_have_the_newest_commit() -> None:
    mesh = life(1).mesh
    figures = mesh.figures
    assert not figures.lost
    assert figures.audits > NODES
    assert [row for row in figures.rows() if not row.met] == []
