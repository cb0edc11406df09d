"""`mesh-sync up` and `down`: from the last applied state, without git and without a network."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from mesh_sync.errors import DeviceError
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.desired import with_settings
from mesh_sync.node.own_keys import with_held_key
from mesh_sync.node.run_lock import locked_run
from mesh_sync.reconcile import mesh_names
from mesh_sync.reconcile.apply import apply, device_of, run_hooks
from mesh_sync.reconcile.outcome import Done
from mesh_sync.reconcile.past_exit import close
from mesh_sync.reconcile.promise import home
from mesh_sync.system.lock import locked


def bring_up(node: Node, note: Callable[[str], None]) -> Done:
    """Make the interface match the last confirmed state. Raise DeviceError when there is none yet.

    A trial that was interrupted stays on record: there may be no network yet to judge it by.
    """
    with locked_run(node):
        close(node)
        state = states.load(node.state_file)
        applied = state.last_confirmed
        if applied.desired is None:
            raise DeviceError("nothing was applied here yet", hint="`mesh-sync now` fetches the list")
        device = device_of(node, note)
        desired = with_held_key(with_settings(applied.desired, node), node)
        after = evolve(home(state), applied=evolve(applied, desired=desired), trial=state.trial)
        return apply(node, device, state, after, undo=state.trial)


def take_down(node: Node, note: Callable[[str], None]) -> None:
    """Remove the interface, what it did as a gateway, and the names of peers. When there is none, nothing happens."""
    with locked_run(node), locked(node.lock_file):
        device = device_of(node, note)
        close(node)
        try:
            if device.exists():
                run_hooks(node.hooks.pre_down, device)
        finally:  # a hook that fails does not keep the interface up
            for refused in mesh_names.take_away(node):
                note(refused)
            device.remove()
