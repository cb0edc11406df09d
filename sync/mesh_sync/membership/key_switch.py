"""The moment when this node switches to its next key, and back when no peer answers under it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from mesh_sync.errors import DeviceError, MeshSyncError, RolledBack
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.desired import on_this_machine
from mesh_sync.node.own_keys import KeyFiles
from mesh_sync.reconcile.apply import apply_locked, device_of
from mesh_sync.system.files import write_atomically
from mesh_sync.system.lock import locked
from mesh_sync.typed_toml.fields import whole
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, mapping_of
from mesh_sync.wireguard import wg
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.live import LivePeer
from mesh_sync.wireguard.protocol import is_alive

PATIENCE = 20.0
"""Seconds within which a peer has to answer under the new key: WireGuard tries every 5 s."""
LOOK = 0.25
"""Seconds between two looks at the handshakes."""


def switch(node: Node, files: KeyFiles, next_key: str) -> None:
    """Run the next key. Raise DeviceError, or MeshSyncError when the applied list does not name it."""
    with locked(node.run_lock_file), locked(node.lock_file):
        desired = _desired(node)
        if next_key != desired.other_key:
            raise MeshSyncError("the list no longer names the next key", hint="run it again")
        shaken = _handshakes(desired, _at_rest(node))
        alive = {key: moment for key, moment in shaken.items() if is_alive(moment, time.time())}
        write_atomically(_memory(node), json.dumps(alive))  # one that differs later was made under the new key
        files.switch()
        try:
            _enforce(node)
        except MeshSyncError:
            files.switch_back()
            _enforce(node)
            raise


def confirm(node: Node, files: KeyFiles) -> tuple[str, ...]:
    """Return which peers answer under the new key; go back and raise RolledBack when none that was alive does."""
    before = _remembered(node)
    if not files.is_on_trial or not before:
        return ()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if names := _answering(node, before):
            return names
        time.sleep(LOOK)
    with locked(node.run_lock_file), locked(node.lock_file):
        if names := _answering(node, before):  # which took as long as that
            return names
        files.switch_back()
        _enforce(node)
    text = f"no peer answered under the new key within {PATIENCE:g} s: this machine runs its old one again"
    raise RolledBack(text, hint="run `mesh-sync now` on the peers, then this again")


def forget(node: Node, files: KeyFiles) -> None:
    """The rotation is over: delete what was kept for the way back."""
    files.tidy()
    _memory(node).unlink(missing_ok=True)


def _desired(node: Node) -> Desired:
    desired = states.load(node.state_file).applied.desired
    if desired is None:
        raise DeviceError("this node has not applied any commit yet", hint="`mesh-sync now` fetches the list")
    return on_this_machine(desired, node)


def _enforce(node: Node) -> None:
    """Make the interface run the key that is in the file."""
    state, desired = states.load(node.state_file), _desired(node)
    after = evolve(state, applied=evolve(state.applied, desired=desired))
    apply_locked(node, device_of(node), state, after)


def _at_rest(node: Node) -> Mapping[str, LivePeer]:
    """The peers, as soon as no handshake was made in this very second: a later one then has another time."""
    for _ in range(20):
        peers: Mapping[str, LivePeer] = wg.dump(node.interface)["peers"]
        if max((peer.handshake for peer in peers.values()), default=0) != int(time.time()):
            break
        time.sleep(0.1)
    return peers


def _answering(node: Node, before: Mapping[str, int]) -> tuple[str, ...]:
    """The names of the peers of ``before`` that have made another handshake since.

    The list may have changed meanwhile: others change their keys, too, and are renamed.
    """
    desired = _desired(node)
    shaken = _handshakes(desired, wg.dump(node.interface)["peers"])
    answering = {key for key, moment in shaken.items() if key in before and moment not in (0, before[key])}
    return tuple(sorted(peer.name for peer in desired.peers if not answering.isdisjoint(peer.keys)))


def _handshakes(desired: Desired, live: Mapping[str, LivePeer]) -> dict[str, int]:
    """The last handshake of each peer, under whichever of its keys, by each of these."""
    return {
        key: max((live[each].handshake for each in peer.keys if each in live), default=0)
        for peer in desired.peers
        for key in peer.keys
    }


def _remembered(node: Node) -> dict[str, int]:
    """The keys of the peers that were alive before the switch, and their handshakes; empty when that was not kept."""
    try:
        return _handshakes_of(read_json(_memory(node).read_bytes()))
    except (OSError, Wrong):
        return {}


_handshakes_of = mapping_of(whole)


def _memory(node: Node) -> Path:
    return node.state_file.with_name("rotation.json")
