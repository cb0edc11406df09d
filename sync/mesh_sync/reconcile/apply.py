"""Make the interface match what this node should be, and remember it. Needs no git: also the whole of `up`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from attrs import evolve, frozen

from mesh_sync.errors import CommandError, DeviceError
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import private_key
from mesh_sync.node.psk_counters import remember
from mesh_sync.node.state import State, Trial
from mesh_sync.reconcile import conf_file, endpoint_choice, mesh_names
from mesh_sync.reconcile.drift import difference_of, for_kernel, owned
from mesh_sync.reconcile.foreign import put_back
from mesh_sync.reconcile.outcome import Done
from mesh_sync.reconcile.promise import after_changes, before_changes, hooks_done, stamped
from mesh_sync.system.lock import WAIT, locked
from mesh_sync.system.run import run
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.device import Device
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.plan import Change

HOOK_DEADLINE = 60.0
"""Seconds for each command of node.toml's `[hooks]`."""


def apply(
    node: Node,
    device: Device,
    before: State,
    after: State,
    *,
    wait: float = WAIT,
    dry_run: bool = False,
    undo: Trial | None = None,
) -> Done:
    """`apply_locked`, under the lock that mesh-watchdog takes too. Raise Locked after ``wait`` seconds."""
    with locked(node.lock_file, wait):
        return apply_locked(node, device, before, after, dry_run=dry_run, undo=undo)


def apply_locked(
    node: Node, device: Device, before: State, after: State, *, dry_run: bool = False, undo: Trial | None = None
) -> Done:
    """Bring the interface to what ``after`` desires, and state.json from ``before`` to ``after``.

    A trial in ``after`` is on record before the first change, one in ``before`` until the last. With ``undo`` this is
    the way back from that one. Nothing to do costs no system call beyond reading. Interrupted anywhere, the next run
    converges: what is about to be ours is written down first, what was done last.
    """
    desired = after.applied.desired
    assert desired is not None
    live, moment = device.read(desired, before.applied.desired), time.time()
    kernel = for_kernel(node, desired, live, moment, before.applied.desired)
    if undo and live:  # after a reboot, what was not ours is gone for other reasons
        kernel = put_back(kernel, undo.found)
    work = _prepare(node, desired, kernel, before, live, moment, undo)
    done = Done(work.changes, work.endpoints.notes)
    if dry_run:
        return done
    remember(node, desired, live)
    unsure = [*work.last, *work.endpoints.fed]
    promised = before_changes(before, after, owned(node, before, live), unsure, hooks_due=work.hooks_due)
    conf = before.applied.conf
    if done.acted or work.stale_conf:
        if promised != before or before.lost:
            states.save(node.state_file, promised)
        conf = conf_file.write(node, desired) if work.stale_conf else conf
    if done.acted:
        refused = device.apply(kernel, live, done.acted, lambda: private_key(node, desired), work.endpoints.fed)
        names = frozenset(change.value for change in done.acted if change.kind == mesh_names.KIND)
        refused += mesh_names.bring_about(node, desired, names)
        done = evolve(done, notes=(*done.notes, *refused))
    known = promised.applied.given
    given = undo.previous.given if undo else endpoint_choice.given(kernel, known, work.changes, work.endpoints.fresh)
    resolved = undo.previous.resolved if undo else {**work.last, **work.endpoints.fresh}
    reached = after_changes(after, conf=conf, given=given, resolved=resolved, hooks_due=work.hooks_due)
    if reached != before or before.lost:
        reached = stamped(reached, time.time())
        states.save(node.state_file, reached)
    if work.hooks_due:
        try:
            run_hooks(node.hooks.post_up, device)
        finally:
            states.save(node.state_file, hooks_done(reached))
    return done


def device_of(node: Node, note: Callable[[str], None] = lambda text: None) -> Device:
    """This node's interface; ``note`` is told of each command that changes it."""
    return Device(node.interface, node.sysctl_file, note)


class HookFailed(DeviceError):
    """A command of root's own failed; the interface is as it should be."""


def run_hooks(commands: Sequence[str], device: Device) -> None:
    """Run root's own commands, in order. Raise HookFailed at the first that fails."""
    for command in commands:
        device.note(f"hook: {command}")
        try:
            run(["sh", "-c", command], deadline=HOOK_DEADLINE, env={"INTERFACE": device.name, "HOME": "/root"})
        except CommandError as error:
            raise HookFailed(f"the hook {command!r} of node.toml: {error.message}") from None


@frozen
class _Work:
    """What there is to do: ``last`` is what the declared endpoints stood for last, by public key."""

    changes: tuple[Change, ...]
    endpoints: endpoint_choice.Endpoints
    last: Mapping[str, str]
    stale_conf: bool
    hooks_due: bool


def _prepare(
    node: Node, desired: Desired, kernel: Desired, before: State, live: Live | None, moment: float, undo: Trial | None
) -> _Work:
    """Find the endpoints that the changes need; those that have none yet are left for another run."""
    changes = difference_of(node, desired, kernel, before, live, moment)
    live, was = live or Live(), before.applied
    last = endpoint_choice.last_known(desired, was, live)
    if undo:
        changes, found = endpoint_choice.way_back(kernel, live, changes, undo.endpoints, moment)
    else:
        found = endpoint_choice.find(node, kernel, changes, last, live, moment)
    changes = tuple(change for change in changes if change.kind != "endpoint" or change.value in found.fed)
    kinds = {change.kind for change in changes}
    written = "conf" in kinds and desired != was.desired and conf_file.is_written(node, desired)
    if written:  # by a run that was interrupted: no drift
        changes = tuple(change for change in changes if change.kind != "conf")
    return _Work(
        changes=changes,
        endpoints=found,
        last=last,
        stale_conf=("conf" in kinds and not written) or not was.conf or desired != was.desired,
        hooks_due=bool(node.hooks.post_up) and (was.hooks_due or "interface-added" in kinds),
    )
