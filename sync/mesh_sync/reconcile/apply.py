"""Make the interface match what this node should be, and remember it. Needs no git: also the whole of `up`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from attrs import frozen

from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import private_key
from mesh_sync.node.psk_counters import remember, settled
from mesh_sync.node.state import State, Trial
from mesh_sync.reconcile import conf_file, endpoint_choice
from mesh_sync.reconcile.hooks import run_hooks
from mesh_sync.reconcile.promise import after_changes, before_changes, hooks_done, stamped
from mesh_sync.system.lock import WAIT, locked
from mesh_sync.wireguard import conf
from mesh_sync.wireguard.desired import Desired, Owned
from mesh_sync.wireguard.device import Device
from mesh_sync.wireguard.key_rollover import placed
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.plan import Change, Context, plan


@frozen
class Done:
    """What was changed (or, in a dry run, would be), and what could not be done yet."""

    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def acted(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.acted)


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
    live, moment = device.read(desired), time.time()
    kernel = _for_kernel(node, desired, live, moment)
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
        device.apply(kernel, live, done.acted, lambda: private_key(node, desired), work.endpoints.fed)
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


def touches(changes: Iterable[Change]) -> bool:
    """Whether any of these changes the interface, and not only what is written or said of it."""
    return any(change.acted and change.kind != "conf" for change in changes)


def difference(
    node: Node, desired: Desired, state: State, live: Live | None, moment: float | None = None
) -> tuple[Change, ...]:
    """What `apply` would change, and what became of wg0.conf. ``state`` says what is ours to take away."""
    moment = time.time() if moment is None else moment
    return _difference(node, _for_kernel(node, desired, live, moment), state, live, moment)


def _difference(node: Node, kernel: Desired, state: State, live: Live | None, moment: float) -> tuple[Change, ...]:
    applied = state.applied
    context = Context(
        owned=owned(node, state, live),
        given=applied.given,
        names={key: peer.name for peer in applied.desired.peers for key in peer.keys} if applied.desired else {},
        moment=moment,
        remove_foreign=node.foreign_peers == "remove",
    )
    return (*plan(kernel, live, context), *conf_file.drift(node, applied.conf))


def _for_kernel(node: Node, desired: Desired, live: Live | None, moment: float) -> Desired:
    """What the kernel is to have: one peer for each key, and one preshared key for each peer."""
    return settled(node, placed(desired, live, moment), live, moment)


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
    changes = _difference(node, kernel, before, live, moment)
    live, was = live or Live(), before.applied
    last = endpoint_choice.last_known(desired, was, live)
    if undo:
        changes, found = endpoint_choice.undone(kernel, live, changes, undo.endpoints, moment)
    else:
        found = endpoint_choice.find(kernel, changes, last, live)
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


def owned(node: Node, state: State, live: Live | None) -> Owned:
    """What is ours on the interface. Without a memory: what our wg0.conf names, and every address and route."""
    if state != State() and not state.lost:
        return state.applied.owned
    text = conf_file.read(node)
    if not state.lost and not conf_file.is_ours(text):
        return Owned()
    live = live or Live()
    return Owned(conf.public_keys(text), live.addresses, live.routes)
