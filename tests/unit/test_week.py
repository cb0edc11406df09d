"""A day of sixty nodes within 43 minutes, with the real policy on two of them (`sim.large` says what is modelled)."""

from __future__ import annotations

import pytest

from mesh_watchdog.policy import crowd
from sim.large import Life, Mesh
from sim.large.audit import Audit
from sim.large.figures import BACK

NODES, DAYS, PACE = 60, 0.03, 32
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty are many."""
    monkeypatch.setattr(crowd, "LARGE", NODES // 2)


def test_who_was_carried_by_a_relay_that_dies_is_reached_through_another() -> None:
    mesh = Mesh(1, NODES, ("easy",))
    mesh.world.run(300)
    one = mesh.sampled["easy0"]
    peer, relay = next(iter(one.placed.items()))
    mesh.switch_off(mesh.nodes[relay])
    Audit(mesh, one, peer)
    mesh.world.run(BACK + 60)
    assert mesh.figures.audits == 1
    assert not mesh.figures.lost


def life(seed: int, **more: int) -> Life:
    lived = Life(Mesh(seed, NODES, ("named", "easy"), **more), DAYS, pace=PACE)
    lived.run()
    return lived


def test_no_pair_is_lost_nothing_grows_and_all_have_the_newest_commit() -> None:
    mesh = life(1).mesh
    figures = mesh.figures
    assert not figures.lost
    assert figures.audits > NODES
    assert [row for row in figures.rows() if not row.met] == []


def test_without_a_relay_who_moved_behind_a_nat_is_found_by_the_anchors_it_has() -> None:
    figures = life(2, relays=0).mesh.figures
    assert not figures.lost
    assert figures.audits > NODES
