"""What a person does on a node (`now --retry`, `pause`, `rollback`) has it accept nothing that it refuses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from attrs import evolve

from mesh_sync.errors import ConfigError, Refused
from mesh_sync.node.fingerprint import fingerprint
from mesh_sync.node.state import Intent, Pause
from mesh_sync.reconcile.derive import desired_at
from mesh_sync.reconcile.promise import entered, paused, went_back
from mesh_sync.reconcile.rollback import choose
from mesh_sync.repository.remote import remotes
from unit.judging_node import ADMIN, SignedMesh, accepts, applied, back, refused


def unsigned(mesh: SignedMesh) -> str:
    """The operator pushes an unsigned commit; return it."""
    mesh.sign_as(None)
    mesh.set("b", endpoint="203.0.113.66:51820")
    commit = mesh.push("unsigned")
    mesh.sign_as(ADMIN)
    return commit


def test_retry_judges_it_once_more_by_the_same_rules(signed: SignedMesh) -> None:
    bad = unsigned(signed)
    says, before = refused(signed, bad), signed.state
    found = signed.look(retry=True)
    assert isinstance(found.problem, Refused)
    assert found.problem.message == says
    [judged], [again] = before.remote.refusals, signed.state.remote.refusals
    assert again == evolve(judged, at=again.at)
    assert signed.state == evolve(before, remote=evolve(before.remote, refusals=(again,)))
    accepts(back(signed))


def test_while_it_is_paused_a_refusal_is_neither_looked_at_nor_forgotten(signed: SignedMesh) -> None:
    bad = unsigned(signed)
    says, before = refused(signed, bad), signed.state.remote.refusal
    signed.state = paused(signed.state, Intent(Pause(1.0)))
    for retry in (False, True):
        assert signed.look(retry=retry).problem is None
        assert signed.state.remote.refusal == before
    signed.state = paused(signed.state, Intent())
    assert refused(signed, bad) == says
    accepts(back(signed))


def test_a_refused_commit_is_nothing_to_go_back_to_and_going_back_does_not_let_it_in(signed: SignedMesh) -> None:
    signed.state = entered(signed.state, 1.0)
    signed.set("a", persistent_keepalive=9)
    newer = signed.push("second")
    applied(signed, newer)
    signed.state = entered(signed.state, 2.0)
    bad = unsigned(signed)
    says, trusted = refused(signed, bad), signed.state.remote.trusted
    with pytest.raises(ConfigError, match="is not among the applied states"):
        choose(signed.state, bad)

    earlier = choose(signed.state, None)
    assert earlier == signed.first
    moment = datetime.now(UTC)
    desired = desired_at(signed.node, earlier, remotes(signed.node).bare.objects, moment)
    gone = went_back(signed.state, earlier, fingerprint(signed.node), desired, Pause(3.0, "by hand"))
    signed.state = entered(gone, 3.0)
    assert signed.look(retry=True).problem is None
    assert signed.state.applied.commit == earlier
    assert signed.state.remote.trusted == trusted, "an older state of the list is not trusted again"
    signed.state = evolve(signed.state, intent=Intent())
    assert refused(signed, bad) == says
    back(signed, newer)
    accepts(signed)
