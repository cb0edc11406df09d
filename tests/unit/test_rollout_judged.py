"""A node that waits for canaries: what it holds back, and what has no need to wait. No canary answers here."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mesh_sync.errors import Refused
from mesh_sync.node.clock import trusted
from mesh_sync.node.fingerprint import fingerprint
from mesh_sync.reconcile import canaries
from mesh_sync.reconcile.decision import Evaluate, decide
from mesh_sync.reconcile.heads import verdict_on
from mesh_sync.reconcile.verdict import Verdict
from mesh_sync.repository.remote import asked, remotes
from unit.judging_node import ADMIN, NODE_B, SignedMesh

WAIT = 600


@pytest.fixture(scope="module")
def waiting_mesh(tmp_path_factory: pytest.TempPathFactory) -> SignedMesh:
    """The node a has applied a list in which b goes first."""
    mesh = SignedMesh(tmp_path_factory.mktemp("rollout") / "mesh")
    mesh.set_mesh(rollout={"canary": ["b"], "wait": WAIT})
    mesh.push("b goes first")
    mesh.look()
    return mesh


@pytest.fixture
def mesh(waiting_mesh: SignedMesh, tmp_path: Path) -> SignedMesh:
    return waiting_mesh.copied(tmp_path / "mesh")


def look(mesh: SignedMesh, later: float = 0.0) -> Verdict:
    """Let the node judge what the remote offers, so many seconds from now."""
    with asked(remotes(mesh.node)) as request:
        clock = trusted(time.time() + later)
        verdict = verdict_on(mesh.node, mesh.state, request, clock, retry=False, note=lambda text: None)
    mesh.state = verdict.after
    return verdict


def at(mesh: SignedMesh) -> str | None:
    return mesh.state.applied.commit


def held(mesh: SignedMesh) -> str | None:
    return mesh.state.remote.held.commit if mesh.state.remote.held else None


def test_the_list_that_names_canaries_is_itself_applied_at_once(mesh: SignedMesh) -> None:
    assert (at(mesh), held(mesh)) == (mesh.git("rev-parse", "HEAD"), None)


def test_a_commit_waits_and_is_applied_after_its_time(mesh: SignedMesh) -> None:
    before = at(mesh)
    mesh.set("b", mtu=1400)
    commit = mesh.push()
    found = look(mesh)
    assert (found.problem, at(mesh), held(mesh)) == (None, before, commit)
    assert mesh.state.remote.commit == commit
    assert ["waits for the nodes" in note for note in found.notes] == [True]
    remembered = mesh.state
    look(mesh, WAIT / 2)
    assert mesh.state == remembered, "a second look writes nothing"
    look(mesh, WAIT + 60)
    assert (at(mesh), held(mesh)) == (commit, None)


def test_an_admins_commit_below_a_bad_one_of_a_node_waits_as_well(mesh: SignedMesh) -> None:
    """And the refusal of the one above it does not keep it from its turn."""
    before = at(mesh)
    mesh.set("b", mtu=1400)
    good = mesh.commit()
    mesh.sign_as(NODE_B)
    mesh.set("b", mtu=1)
    mesh.push()
    assert isinstance(look(mesh).problem, Refused)
    assert (at(mesh), held(mesh)) == (before, good)
    assert isinstance(look(mesh, WAIT / 2).problem, Refused)
    assert (at(mesh), held(mesh)) == (before, good)
    assert isinstance(look(mesh, WAIT + 60).problem, Refused)
    assert (at(mesh), held(mesh)) == (good, None)


def test_what_has_been_applied_is_not_held_again(mesh: SignedMesh) -> None:
    """When root changes something on this node, the same commit is looked at once more."""
    mesh.trust(ADMIN)
    before = at(mesh)
    assert look(mesh).problem is None
    assert (at(mesh), held(mesh)) == (before, None)


def test_what_root_changes_while_the_canaries_are_asked_is_looked_at_next(
    mesh: SignedMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interface is worked out by then. It may be another secret that is put in place."""

    def confirm(*_: object) -> bool:
        mesh.hold(mesh.private["a"])
        return True

    monkeypatch.setattr(canaries, "have_confirmed", confirm)
    mesh.set("b", mtu=1400)
    commit = mesh.push()
    assert look(mesh).problem is None
    assert at(mesh) == commit
    clock = trusted(time.time())
    assert decide(mesh.state, commit, fingerprint(mesh.node), clock) == Evaluate(commit)


def test_a_canary_waits_for_no_one(tmp_path: Path) -> None:
    mesh = SignedMesh(tmp_path / "mesh")
    mesh.set_mesh(rollout={"canary": ["a"], "wait": WAIT})
    mesh.push("a goes first")
    look(mesh)
    mesh.set("b", mtu=1400)
    commit = mesh.push()
    assert look(mesh).problem is None
    assert at(mesh) == commit


def test_a_node_that_has_nothing_applied_waits_for_no_one(mesh: SignedMesh) -> None:
    mesh.set("b", mtu=1400)
    commit = mesh.push()
    mesh.state = type(mesh.state)()
    assert look(mesh).problem is None
    assert at(mesh) == commit
