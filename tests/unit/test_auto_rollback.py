"""How long a commit that may not be at fault is left alone, before it is tried again."""

from __future__ import annotations

import time
from pathlib import Path

from attrs import evolve

from mesh_sync.node.clock import trusted
from mesh_sync.node.fingerprint import fingerprint
from mesh_sync.node.history import Past
from mesh_sync.node.state import BadCommit, State, Trial
from mesh_sync.reconcile.auto_rollback import rest_of
from mesh_sync.reconcile.heads import verdict_on
from mesh_sync.reconcile.promise import rolled_back
from mesh_sync.repository.remote import asked, remotes
from unit.judging_node import NODE_B, SignedMesh


def test_it_is_tried_again_at_once_and_then_ever_more_rarely() -> None:
    state, rests = State(history=(Past("c2", 1.0, "left"), Past("c1", 1.0, "rolled-back"))), []
    for moment in range(9):
        rests.append(rest_of(state, "c2"))
        state = state.ending("rolled-back", moment, "c2")
    assert rests == [0, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_an_admins_commit_below_a_bad_one_of_a_node_is_tried_again_as_well(tmp_path: Path) -> None:
    """The bad one's refusal stands for a day; it must not keep the other one from what was promised."""
    mesh = SignedMesh(tmp_path / "mesh")
    before, now = mesh.state.applied, time.time()
    mesh.set("b", mtu=1400)
    good = mesh.commit()
    mesh.sign_as(NODE_B)
    mesh.set("b", mtu=1)
    mesh.push()

    def tried(at: float) -> bool:
        with asked(remotes(mesh.node)) as request:
            found = verdict_on(mesh.node, mesh.state, request, trusted(at), retry=False, note=lambda text: None)
        mesh.state = found.after
        return mesh.state.applied.commit == good

    def goes_back(at: float, until: float | None) -> None:
        trial = Trial(good, fingerprint(mesh.node), at, 1, before)
        bad = BadCommit(good, "the network", trial.fingerprint, until) if until else None
        mesh.state = rolled_back(evolve(mesh.state, applied=before, trial=trial), bad, at)

    assert tried(now)
    for at in (now + 60, now + 120):
        goes_back(at, None)
        assert tried(at), "by the next run"
    goes_back(now + 150, now + 300)
    assert not tried(now + 240)
    assert tried(now + 310)
