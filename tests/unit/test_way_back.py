"""What a node needs on its way back from a commit, and what others hear meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_sync.errors import Locked
from mesh_sync.node import state as states
from mesh_sync.node.config import Node, Paths, Repository, Trust
from mesh_sync.node.own_keys import with_held_key
from mesh_sync.node.run_lock import locked_run
from mesh_sync.node.state import Applied, State, Trial
from mesh_sync.wireguard import keys
from mesh_sync.wireguard.desired import Desired


@pytest.fixture
def node(tmp_path: Path) -> Node:
    paths = Paths(state=tmp_path / "state", run=tmp_path / "run", wireguard=tmp_path / "wireguard")
    key = tmp_path / "private.key"
    repository, trust = Repository(urls=("x",)), Trust(mode="none")
    return Node(name="a", repository=repository, trust=trust, paths=paths, private_key_file=key)


def interface(public_key: str) -> Desired:
    return Desired("lab", "a", public_key, 51820, 1420, frozenset({"10.0.0.1/32"}), frozenset(), ())


def test_an_interface_whose_key_is_gone_comes_back_with_the_key_that_is_there(node: Node) -> None:
    held = keys.write_private_key(node.private_key_file)
    gone = interface(keys.public_key(keys.generate()))
    back = with_held_key(gone, node)
    assert back == interface(held)
    assert with_held_key(back, node) == back


def test_the_key_before_a_switch_is_there_too(node: Node) -> None:
    keys.write_private_key(node.private_key_file)
    earlier = keys.write_private_key(node.private_key_file.with_name("private.key.previous"))
    assert with_held_key(interface(earlier), node) == interface(earlier)


def test_without_any_key_the_rest_may_still_come_back(node: Node) -> None:
    desired = interface(keys.public_key(keys.generate()))
    assert with_held_key(desired, node) == desired


def test_who_waits_in_vain_hears_which_commit_is_on_trial(node: Node) -> None:
    states.save(node.state_file, State(Applied("c2" * 20), trial=Trial("c2" * 20, "", 1.0, 1, Applied("c1"))))
    said = f"for 0 s: commit {'c2' * 5} is on trial, for 30 s or a little more$"
    with locked_run(node), pytest.raises(Locked, match=said) as caught, locked_run(node, 0):
        pass
    assert caught.value.exit_code == 7
    states.save(node.state_file, State(Applied("c2" * 20)))
    with locked_run(node), pytest.raises(Locked, match=r"for 0 s$"), locked_run(node, 0):
        pass
