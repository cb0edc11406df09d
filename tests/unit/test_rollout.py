"""Who applies a commit first, and how long the others wait for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.check.examine import examine
from mesh_sync.findings import ERROR, WARNING, Finding
from mesh_sync.mesh import manifest
from mesh_sync.mesh.model import Mesh, Rollout
from mesh_sync.mesh.tree import Tree
from mesh_sync.node.state import Applied, Held, Remote, State
from mesh_sync.reconcile import promise
from mesh_sync.reconcile.decision import WAITS, wait
from mesh_sync.wireguard import keys
from mesh_sync.wireguard.desired import Desired

MOMENT = datetime(2027, 1, 1, tzinfo=UTC)
KEYS = [keys.public_key(keys.generate()) for _ in range(4)]
PEERS: dict[str, dict[str, Any]] = {
    "a": {"tags": ["edge"]}, "b": {"tags": ["edge", "eu"]}, "phone": {"managed": False, "tags": ["eu", "hand"]},
    "off": {"enabled": False, "tags": ["edge"]},
}  # fmt: skip


def files(**rollout: Any) -> dict[str, bytes]:
    mesh = {"format": 1, "name": "lab", "networks": ["10.0.0.0/24"], "rollout": rollout}
    found = {"mesh.toml": tomlkit.dumps(mesh).encode()}
    for number, (name, more) in enumerate(PEERS.items()):
        peer = {
            "public_key": KEYS[number],
            "addresses": [f"10.0.0.{number + 1}"],
            "endpoint": f"192.0.2.{number + 1}:1",
        }
        found[f"peers/{name}.toml"] = tomlkit.dumps({**peer, **more}).encode()
    return found


def mesh(**rollout: Any) -> Mesh:
    found, findings = manifest.read(files(**rollout))
    assert found, findings
    return found


def findings(**rollout: Any) -> list[Finding]:
    return [one for one in examine(Tree(files(**rollout)), MOMENT)[1] if one.key.startswith("rollout")]


@pytest.mark.parametrize(
    ("canary", "names"),
    [([], ""), (["a"], "a"), (["edge"], "a b"), (["eu"], "b"), (["a", "eu"], "a b"), (["phone", "off"], "")],
    ids=str,
)
def test_canaries_are_nodes_by_name_and_by_tag(canary: list[str], names: str) -> None:
    assert mesh(canary=canary).canaries == frozenset(names.split())


def test_there_are_none_unless_the_list_says_so() -> None:
    assert mesh().rollout == Rollout(canary=(), wait=60)  # type: ignore[arg-type]
    assert mesh().canaries == frozenset()
    assert mesh(wait=5).rollout.wait == 5


@pytest.mark.parametrize(
    "wrong", [{"wait": 0}, {"wait": 3601}, {"wait": "1"}, {"canary": "a"}, {"canary": [1]}, {"x": 1}]
)
def test_what_it_cannot_be(wrong: dict[str, Any]) -> None:
    assert [one.severity for one in findings(**wrong)] == [ERROR]


def test_a_canary_that_is_no_peer_is_an_error_and_one_that_follows_nothing_a_warning() -> None:
    assert findings(canary=["a", "eu"]) == []
    [error] = findings(canary=["a", "nobody"])
    assert (error.file, error.key, error.severity) == ("mesh.toml", "rollout.canary", ERROR)
    assert "there is no peer 'nobody'" in error.message
    [warning] = findings(canary=["hand", "a"])
    assert (warning.severity, "'hand'" in warning.message) == (WARNING, True)


def test_where_a_peers_file_is_broken_its_tags_are_not_missed() -> None:
    broken = {**files(canary=["eu"]), "peers/b.toml": b"public_key = 1", "peers/phone.toml": b"x"}
    assert not [one for one in examine(Tree(broken), MOMENT)[1] if one.key.startswith("rollout")]


# -- how long


def test_a_commit_waits_from_when_it_was_first_seen() -> None:
    first = wait(None, "c1", 60, 1000.0)
    assert first == Held("c1", 1000.0, 1000.0)
    assert wait(first, "c1", 60, 1059.9) == first
    assert wait(first, "c1", 60, 1060.0) is None


def test_a_newer_one_waits_for_itself_but_not_for_ever() -> None:
    held, moment = wait(None, "c0", 60, 0.0), 0.0
    number = 0
    while held:
        number += 1
        moment += 50.0
        held = wait(held, f"c{number}", 60, moment)
        assert moment <= WAITS * 60
    assert moment == WAITS * 60


def test_what_waited_long_ago_takes_nothing_from_one_that_comes_now() -> None:
    assert wait(Held("c1", 10.0, 0.0), "c2", 60, 5000.0) == Held("c2", 5000.0, 5000.0)


@pytest.mark.parametrize("held", [Held("c1", 9000.0, 9000.0), Held("c1", 500.0, 600.0)], ids=["ahead", "muddled"])
def test_what_a_wrong_clock_has_remembered_does_not_count(held: Held) -> None:
    assert wait(held, "c1", 60, 1000.0) == Held("c1", 1000.0, 1000.0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100)), min_size=60, max_size=60), st.integers(1, 90))
def test_no_node_waits_longer_than_its_bound(looks: list[tuple[str, float]], seconds: int) -> None:
    """However heads come and go at a node that looks every 100 s at least: there is an end."""
    held, moment = wait(None, "a", seconds, 0.0), 0.0
    for commit, pause in looks:
        moment += pause
        held = wait(held, commit, seconds, moment)
        if held is None:
            return
    assert moment < WAITS * seconds


# -- what is remembered


def test_a_commit_that_waits_changes_nothing_but_what_is_remembered_of_it() -> None:
    desired = Desired("lab", "a", "own", 1, 1420, frozenset(), frozenset(), ())
    before = State(Applied("c1", desired=desired), Remote("c2"))
    after = promise.held(before, Held("c2", 1.0, 1.0))
    assert (after.applied, after.remote.held) == (before.applied, Held("c2", 1.0, 1.0))
    assert promise.accepted(after, "c2", "f", desired).remote.held is None
