"""`mesh-sync up` and `down`: from the last applied state, without git and without a network."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from mesh_sync import state as states
from mesh_sync.errors import DeviceError
from mesh_sync.hooks import run_hooks
from mesh_sync.interface.device import Device
from mesh_sync.interface.enforce import Done, enforce
from mesh_sync.interface.gateway import with_gateway
from mesh_sync.lock import locked, locked_run
from mesh_sync.node import Node
from mesh_sync.rekey.own_key import with_held_key


def bring_up(node: Node, note: Callable[[str], None]) -> Done:
    """Make the interface match the last confirmed state. Raise DeviceError when there is none yet.

    A trial that was interrupted stays on record: there may be no network yet to judge it by.
    """
    with locked_run(node), locked(node.lock_file):
        state = states.load(node.state_file)
        home = state.home
        if home.wanted is None:
            raise DeviceError("nothing was applied here yet", hint="`mesh-sync now` fetches the list")
        device = Device(node.interface, node.sysctl_file, note)
        wanted = with_held_key(with_gateway(home.wanted, node), node)
        after = evolve(home, trial=state.trial)
        return enforce(node, device, wanted, state, after, device.read(wanted), undo=state.trial)


def take_down(node: Node, note: Callable[[str], None]) -> None:
    """Remove the interface and what it did as a gateway. Doing it twice does no harm."""
    with locked_run(node), locked(node.lock_file):
        device = Device(node.interface, node.sysctl_file, note)
        try:
            if device.exists():
                run_hooks(node.hooks.pre_down, device)
        finally:  # whoever says down means it, whatever a hook says
            device.remove()
