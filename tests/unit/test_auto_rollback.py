"""How long a commit that may not be at fault is left alone, before it is tried again."""

from __future__ import annotations

from mesh_sync.node.history import Past
from mesh_sync.node.state import State
from mesh_sync.reconcile.auto_rollback import rest_of


def test_it_is_tried_again_at_once_and_then_ever_more_rarely() -> None:
    state, rests = State(history=(Past("c2", 1.0, "left"), Past("c1", 1.0, "rolled-back"))), []
    for moment in range(9):
        rests.append(rest_of(state, "c2"))
        state = state.ending("rolled-back", moment, "c2")
    assert rests == [0, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
