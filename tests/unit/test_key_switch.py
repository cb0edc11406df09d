"""Whether a peer answers under this node's new key, whatever else happens while it is waited for."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.membership import key_switch
from mesh_sync.membership.key_switch import confirm
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import KeyFiles
from mesh_sync.system.lock import locked
from mesh_sync.wireguard.keys import write_private_key
from unit.believed import KEY, applied_node

BEFORE, SINCE = 1_700_000_000, 1_700_000_100
WG = """#!/bin/sh
printf 'private\\tme\\t51820\\toff\\n{key}\\t(none)\\t(none)\\t(none)\\t%s\\t0\\t0\\toff\\n' "$(cat {handshake})"
"""


@pytest.fixture
def handshake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that says when the node's peer made its last handshake."""
    file = tmp_path / "handshake"
    file.write_text(str(BEFORE))
    (tmp_path / "wg").write_text(WG.format(key=KEY, handshake=file))
    (tmp_path / "wg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return file


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """It has just switched to its next key, and its only peer was alive before."""
    monkeypatch.setattr(key_switch, "PATIENCE", 0.5)
    node = evolve(applied_node(tmp_path), private_key_file=tmp_path / "private.key")
    for file in (node.private_key_file, KeyFiles(node.private_key_file).previous):
        write_private_key(file)
    node.state_file.with_name("rotation.json").write_text(json.dumps({KEY: BEFORE}))
    return node


def test_a_peer_that_is_renamed_meanwhile_is_still_the_same(node: Node, handshake: Path) -> None:
    state = states.load(node.state_file)
    assert state.applied.desired
    [peer] = state.applied.desired.peers
    desired = evolve(state.applied.desired, peers=(evolve(peer, name="renamed", next_public_key="n" * 43 + "="),))
    states.save(node.state_file, evolve(state, applied=evolve(state.applied, desired=desired)))
    handshake.write_text(str(SINCE))
    assert confirm(node, KeyFiles(node.private_key_file)) == ("renamed",)


def test_a_peer_that_answers_while_the_lock_is_waited_for_has_answered(node: Node, handshake: Path) -> None:
    """Another run may hold it for as long as a commit is on trial."""
    files = KeyFiles(node.private_key_file)
    held, found = files.public, list[tuple[str, ...]]()
    with locked(node.run_lock_file):
        waiting = threading.Thread(target=lambda: found.append(confirm(node, files)))
        waiting.start()
        time.sleep(1)
        handshake.write_text(str(SINCE))
    waiting.join()
    assert (found, files.public) == ([("b",)], held)
