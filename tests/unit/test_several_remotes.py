"""Several hosts that show different things, and everything else that may fail while a head is looked at."""

from __future__ import annotations

import pytest
from attrs import evolve

from mesh_sync.errors import DeviceError, MeshSyncError, Unreachable
from mesh_sync.reconcile import evaluate
from mesh_sync.reconcile.verdict import Verdict
from mesh_sync.repository.remote import Remote
from mesh_sync.wireguard.desired import Desired
from unit.hostile_mesh import ANNA, HostileMesh, Observed, peer
from unit.hostile_steps import at, by_admin, takes


def shown(mesh: HostileMesh, first: str | None, second: str | None) -> Observed:
    node = mesh.nodes["a"]
    node.show(0, first)
    node.show(1, second)
    return node


def notes(verdict: Verdict) -> str:
    assert verdict.problem is None
    return "; ".join(verdict.notes)


def test_when_the_first_host_shows_what_is_refused_the_second_is_asked(
    mesh: HostileMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = by_admin(mesh, mesh.first)
    bad = mesh.commit(mesh.made[good].files, [good], None, legitimate=False)
    node = shown(mesh, bad, good)
    assert notes(node.poll()) == f"commit {bad[:10]} is not signed"
    assert at(mesh) == good
    assert notes(node.poll()) == f"commit {bad[:10]} is not signed"
    refusals = node.state.remote.refusals
    monkeypatch.setattr(evaluate, "evaluate", lambda *_: pytest.fail("what is refused is looked at again"))
    assert notes(node.poll()) == f"commit {bad[:10]} is not signed"
    assert node.state.remote.refusals == refusals


def test_a_host_that_withholds_is_found_out_after_a_while(mesh: HostileMesh) -> None:
    good = by_admin(mesh, mesh.first)
    node = shown(mesh, mesh.first, good)
    node.poll()
    assert at(mesh) == mesh.first, "both were asked a moment ago"
    node.wait()
    assert notes(node.poll()) == ""
    assert at(mesh) == good
    assert "the remote went back" in notes(node.poll()), "the first one is behind from now on"
    assert at(mesh) == good


def test_what_a_later_host_shows_takes_nothing_away(mesh: HostileMesh) -> None:
    good = by_admin(mesh, mesh.first)
    node = shown(mesh, good, mesh.first)
    node.wait()
    assert "the remote went back" in notes(node.poll())
    assert (at(mesh), node.state.remote.commit, node.state.remote.silent_since) == (good, good, None)


def test_of_two_good_heads_the_newer_wins_whoever_shows_it(mesh: HostileMesh) -> None:
    one = by_admin(mesh, mesh.first)
    two = by_admin(mesh, one, 8)
    for first, second in ((one, two), (two, one)):
        mesh.nodes["a"].wait()
        shown(mesh, first, second).poll()
        assert at(mesh) == two


def test_a_first_host_that_takes_all_the_time_leaves_some_for_the_second(
    mesh: HostileMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = by_admin(mesh, mesh.first)
    bad = mesh.commit(mesh.made[good].files, [good], None, legitimate=False)
    node = shown(mesh, bad, good)
    fetch = Remote.fetch

    def slowly(remote: Remote, url: str) -> str:
        commit = fetch(remote, url)
        if url == str(node.views[0]):
            remote.give_up()
        return commit

    monkeypatch.setattr(Remote, "fetch", slowly)
    node.poll()
    assert at(mesh) == good


def test_when_no_host_shows_anything_good_the_first_ones_refusal_is_told(mesh: HostileMesh) -> None:
    bad = mesh.commit(mesh.made[mesh.first].files, [mesh.first], None, legitimate=False)
    node = shown(mesh, bad, None)
    problem = node.poll().problem
    assert problem
    assert problem.message == f"commit {bad[:10]} is not signed"


# -- whatever else fails


def test_a_defect_of_ours_keeps_what_was_confirmed(mesh: HostileMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Desired:
        raise RecursionError("too deep\x1b[31m")

    before = mesh.nodes["a"].state.applied
    monkeypatch.setattr(evaluate, "interface", fail)
    head = by_admin(mesh, mesh.first)
    mesh.show_everywhere(head)
    found = mesh.nodes["a"].poll()
    assert type(found.problem) is MeshSyncError
    assert found.problem.message == f"commit {head[:10]} cannot be evaluated: RecursionError: too deep\\x1b[31m"
    assert found.after.applied == before
    monkeypatch.undo()
    takes(mesh, head)


@pytest.mark.parametrize("fault", [DeviceError("the disk is full"), Unreachable("no answer")])
def test_a_fault_of_this_machine_or_of_the_host_keeps_what_was_confirmed(
    mesh: HostileMesh, monkeypatch: pytest.MonkeyPatch, fault: MeshSyncError
) -> None:
    def fail(*_: object) -> str:
        raise fault

    before = mesh.nodes["a"].state.applied
    monkeypatch.setattr(Remote, "fetch", fail)
    mesh.show_everywhere(by_admin(mesh, mesh.first))
    found = mesh.nodes["a"].poll()
    assert found.problem is fault
    assert found.after.applied == before


def test_a_peer_expires_although_the_copy_of_the_list_is_gone(mesh: HostileMesh) -> None:
    files = {
        **mesh.made[mesh.first].files,
        "peers/c.toml": peer("c", subnets=["10.9.0.0/24"]) + "expires = 2199-01-01\n",
    }
    takes(mesh, mesh.commit(files, [mesh.first], ANNA))
    node = mesh.nodes["a"]
    desired = node.state.applied.desired
    assert desired
    assert "10.9.0.0/24" in desired.routes
    peers = tuple(evolve(one, ends=one.ends and 1.0) for one in desired.peers)
    node.state = evolve(
        node.state, applied=evolve(node.state.applied, desired=evolve(desired, peers=peers, valid_until=1.0))
    )
    node.lose_copy()
    mesh.show_everywhere(None)
    found = node.poll()
    assert isinstance(found.problem, Unreachable)
    left = found.after.applied.desired
    assert left
    assert [one.name for one in left.peers] == ["b", "d"]
    assert "10.9.0.0/24" not in left.routes
    assert not left.is_due(2.0) or left.valid_until == 1.0
