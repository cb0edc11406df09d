"""A machine that was never let into the list waits: that is no failure, of `now` or of its unit."""

from __future__ import annotations

import pytest

from mesh_sync.errors import Cause, Refused
from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.node.state import Applied, Remote, State
from mesh_sync.reconcile.outcome import WAITING, Done, outcome
from mesh_sync.reconcile.verdict import Verdict
from mesh_sync.wireguard.desired import Desired

NODE = Node(name="aws", repository=Repository(urls=("ssh://git.example.org/mesh",)), trust=Trust(mode="none"))
HEAD = Remote(commit="1" * 40)
NOT_LISTED = Refused("aws is not in the list", cause=Cause.NOT_LISTED)
NOTHING: frozenset[str] = frozenset()
DESIRED = Desired(
    mesh="lab", name="aws", public_key="k", listen_port=1, mtu=1420, addresses=NOTHING, routes=NOTHING, peers=()
)


def test_who_is_not_in_the_list_yet_waits() -> None:
    found = outcome(NODE, Verdict(State(remote=HEAD), NOT_LISTED), Done())
    assert (found.result, found.exit_code, found.uneventful) == (WAITING, 0, True)
    assert found.in_sync == "aws waits to be admitted to the mesh: commit 1111111111 does not have it yet"
    assert found.as_json()["message"] == "aws is not in the list"


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        (State(Applied("0" * 40, desired=DESIRED), HEAD), NOT_LISTED),
        (State(remote=HEAD), Refused("the files have errors", cause=Cause.INVALID)),
    ],
    ids=["was in it before", "for another reason"],
)
def test_all_else_is_refused(state: State, problem: Refused) -> None:
    found = outcome(NODE, Verdict(state, problem), Done())
    assert (found.result, found.exit_code, found.uneventful) == ("refused", 4, False)
