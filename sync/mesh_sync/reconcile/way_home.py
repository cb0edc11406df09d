"""The way back from a trial: from the record alone, without asking a peer, a remote or the DNS."""

from __future__ import annotations

import time

from attrs import evolve

from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import private_key, with_held_key
from mesh_sync.node.state import State, Trial
from mesh_sync.reconcile import conf_file
from mesh_sync.reconcile.apply import HookFailed, apply, run_hooks
from mesh_sync.reconcile.endpoint_choice import way_back
from mesh_sync.reconcile.promise import gone_home
from mesh_sync.system.lock import locked
from mesh_sync.wireguard.desired import Desired, Owned
from mesh_sync.wireguard.device import Device
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.plan import Context, plan


def go_home(node: Node, device: Device, wait: float) -> State:
    """Bring back what the trial on record began with, without asking a peer or a remote. The record stays."""
    present = states.load(node.state_file)
    trial = present.trial
    if not trial:
        return present
    previous = trial.previous
    if previous.desired:
        back = evolve(previous, desired=with_held_key(previous.desired, node))
        apply(node, device, present, gone_home(present, trial, back), wait=wait, undo=trial)
        return states.load(node.state_file)
    with locked(node.lock_file, wait):
        if trial.found:
            _put_back(node, device, trial, with_held_key(trial.found, node), present.applied.owned)
        else:
            _remove(node, device)
        conf_file.put_back(node, previous.conf)
        return gone_home(present, trial, previous)


def _put_back(node: Node, device: Device, trial: Trial, found: Desired, tried: Owned) -> None:
    """Have an interface again of which nothing was known but how it was found."""
    live = device.read(found)
    changes, points = way_back(found, live or Live(), plan(found, live, Context(tried)), trial.endpoints, time.time())
    if changes:
        device.apply(found, live, changes, lambda: private_key(node, found), points.fed)


def _remove(node: Node, device: Device) -> None:
    """Have no interface again. A hook that fails does not end the way back."""
    try:
        if device.exists():
            run_hooks(node.hooks.pre_down, device)
    except HookFailed as error:
        device.note(error.message)
    device.remove()
