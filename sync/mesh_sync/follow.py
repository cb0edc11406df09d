"""The steps of `mesh-sync now` after the look: find the aim, plan, apply, record; nothing is done when idle."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from mesh_sync import state as states
from mesh_sync.aim import Aim, aim
from mesh_sync.device import Device
from mesh_sync.enforce import Done, difference, enforce, owned
from mesh_sync.errors import Unreachable
from mesh_sync.gateway import with_gateway
from mesh_sync.lock import locked
from mesh_sync.node import Node
from mesh_sync.outcome import Outcome
from mesh_sync.own_key import with_own_key
from mesh_sync.remote import Question


def follow(node: Node, question: Question, *, dry_run: bool, wait: float, note: Callable[[str], None]) -> Outcome:
    """Make this node match the head that the remote answers with, or else its last applied state.

    The interface is read while the remote thinks; if there is anything to do, it is read again under the lock, for
    mesh-watchdog may have changed it. Raise DeviceError, ConfigError or Locked when not even that could be done.
    """
    before = states.load(node.state_file)
    device = Device(node.interface, node.sysctl_file, note)
    live = device.read(before.wanted)
    found = aim(node, before, question, note)
    if found.after.wanted is None:
        if found.after != before and not dry_run:
            states.save(node.state_file, evolve(found.after, owned=owned(node, before, live)))
        return _outcome(node, found, Done(()))
    wanted = with_own_key(with_gateway(found.after.wanted, node), node)
    with locked(node.lock_file, wait):
        if wanted != before.wanted or difference(node, wanted, before, live):
            live = device.read(wanted)
        done = enforce(node, device, wanted, before, found.after, live, dry_run=dry_run)
    return _outcome(node, found, done)


def _outcome(node: Node, found: Aim, done: Done) -> Outcome:
    problem = found.problem
    if isinstance(problem, Unreachable):
        result = "unreachable"
    elif problem is not None:
        result = "refused"
    else:
        result = "applied" if done.acted else "in-sync"
    return Outcome(
        node=node,
        result=result,
        commit=found.after.commit,
        remote_commit=found.after.remote_commit,
        changes=done.changes,
        notes=(*found.notes, *done.notes),
        findings=found.findings,
        problem=problem,
        peers=len(found.after.wanted.peers) if found.after.wanted else 0,
    )
