"""Make the interface match what this node should be, and remember it. Needs no git: also the whole of `up`."""

from __future__ import annotations

import time
from collections.abc import Mapping

from attrs import evolve, frozen

from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import private_key
from mesh_sync.node.psk_counters import remember, settled
from mesh_sync.node.state import State, Trial
from mesh_sync.reconcile import conf_file, endpoint_choice
from mesh_sync.reconcile.hooks import run_hooks
from mesh_sync.wireguard.desired import Desired, Owned
from mesh_sync.wireguard.device import Device
from mesh_sync.wireguard.key_rollover import placed
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.plan import Change, Context, plan


@frozen
class Done:
    """What was changed (or, in a dry run, would be), and what could not be done yet."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def acted(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.acted)


def difference(
    node: Node, desired: Desired, state: State, live: Live | None, now: float | None = None
) -> tuple[Change, ...]:
    """The plan for this node, and what became of its wg0.conf: ``state`` says what is ours to take away."""
    context = Context(
        owned=owned(node, state, live),
        given=state.given,
        names={key: peer.name for peer in state.desired.peers for key in peer.keys} if state.desired else {},
        now=time.time() if now is None else now,
        remove_foreign=node.foreign_peers == "remove",
    )
    return (*plan(_fed(node, desired, live, context.now), live, context), *conf_file.drift(node, state))


def _fed(node: Node, desired: Desired, live: Live | None, now: float) -> Desired:
    """What the kernel is to have: one peer for each key, and one preshared key for each peer."""
    return settled(node, placed(desired, live, now), live, now)


def enforce(
    node: Node,
    device: Device,
    desired: Desired,
    before: State,
    after: State,
    live: Live | None,
    *,
    dry_run: bool = False,
    undo: Trial | None = None,
) -> Done:
    """Bring the interface from ``live`` to ``desired`` and the memory from ``before`` to ``after``.

    A trial in ``after`` is on record before the first change, one in ``before`` until the last. With ``undo`` this is
    the way back from that one.

    Nothing to do costs no system call beyond reading wg0.conf. Interrupted anywhere, the next run converges: what
    is about to be ours is written down first, what was done last.
    """
    moment = time.time()
    fed = _fed(node, desired, live, moment)
    changes = difference(node, desired, before, live, moment)
    work = _prepare(node, desired, fed, before, live or Live(), changes, undo)
    done = Done(work.changes, work.endpoints.notes)
    if dry_run:
        return done
    remember(node, desired, live)
    promised = evolve(
        before,
        owned=owned(node, before, live) | desired.owned,
        given={**dict.fromkeys([*work.last, *work.endpoints.fed], endpoint_choice.UNSURE), **before.given},
        hooks_due=work.hooks_due,
        trial=after.trial or before.trial,
    )
    if done.acted or work.stale_conf:
        if promised != before or before.lost:
            states.save(node.state_file, promised)
        after = evolve(after, conf=conf_file.write(node, desired) if work.stale_conf else before.conf)
    if done.acted:
        device.apply(fed, live, done.acted, lambda: private_key(node, desired), work.endpoints.fed)
    after = evolve(
        after,
        desired=desired,
        owned=desired.owned,
        given=undo.previous.given if undo else endpoint_choice.given(fed, promised, work.changes, work.endpoints.fresh),
        resolved=undo.previous.resolved if undo else {**work.last, **work.endpoints.fresh},
        hooks_due=work.hooks_due,
    )
    if after != before or before.lost:
        after = evolve(after, applied_at=time.time(), lost=False)
        states.save(node.state_file, after)
    if work.hooks_due:
        try:
            run_hooks(node.hooks.post_up, device)
        finally:
            states.save(node.state_file, evolve(after, hooks_due=False))
    return done


@frozen
class _Work:
    """What there is to do: ``last`` is what the declared endpoints stood for last, by public key."""

    changes: tuple[Change, ...]
    endpoints: endpoint_choice.Endpoints
    last: Mapping[str, str]
    stale_conf: bool
    hooks_due: bool


def _prepare(
    node: Node,
    desired: Desired,
    fed: Desired,
    before: State,
    live: Live,
    changes: tuple[Change, ...],
    undo: Trial | None,
) -> _Work:
    """Find the endpoints that the changes need; those that have none yet are left for another run."""
    last = endpoint_choice.last_known(desired, before, live)
    if undo:
        changes, found = endpoint_choice.undone(fed, live, changes, undo.endpoints, time.time())
    else:
        found = endpoint_choice.find(fed, changes, last, live)
    changes = tuple(change for change in changes if change.kind != "endpoint" or change.value in found.fed)
    kinds = {change.kind for change in changes}
    written = "conf" in kinds and desired != before.desired and conf_file.is_written(node, desired)
    if written:  # by a run that was interrupted: nobody else's doing
        changes = tuple(change for change in changes if change.kind != "conf")
    return _Work(
        changes=changes,
        endpoints=found,
        last=last,
        stale_conf=("conf" in kinds and not written) or not before.conf or desired != before.desired,
        hooks_due=bool(node.hooks.post_up) and (before.hooks_due or "interface-added" in kinds),
    )


def owned(node: Node, state: State, live: Live | None) -> Owned:
    """What is ours on the interface. Without a memory: what our wg0.conf names, and every address and route."""
    if state != State() and not state.lost:
        return state.owned
    text = conf_file.read(node)
    if not state.lost and not conf_file.is_ours(text):
        return Owned()
    from mesh_sync.wireguard import conf

    live = live or Live()
    return Owned(conf.public_keys(text), live.addresses, live.routes)
