"""A commit on trial: applied, watched, and then kept or rolled back.

The record in `State.trial` is there from before the first change until it is decided: whatever ends the run in between,
the next one finds what was tried and the way back.
"""

from __future__ import annotations

import time

from attrs import evolve

from mesh_sync.errors import MeshSyncError, RolledBack, Unreachable
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import private_key, with_held_key
from mesh_sync.node.state import BadCommit, State, Trial
from mesh_sync.reconcile import conf_file, health
from mesh_sync.reconcile.apply import HookFailed, apply, run_hooks
from mesh_sync.reconcile.drift import difference, owned, read_conf, touches
from mesh_sync.reconcile.endpoint_choice import way_back
from mesh_sync.reconcile.health_goal import Goal, by_key, goal, missing, proof
from mesh_sync.reconcile.outcome import Done, Tried
from mesh_sync.reconcile.promise import confirmed, given_up, gone_home, home, rolled_back
from mesh_sync.reconcile.verdict import RETRY, Verdict
from mesh_sync.system.lock import locked
from mesh_sync.wireguard.desired import Desired, Owned
from mesh_sync.wireguard.device import Device
from mesh_sync.wireguard.live import Live, as_desired
from mesh_sync.wireguard.plan import Context, plan

ATTEMPTS = 2
"""A commit that ended so many runs before it was confirmed is not tried again: it may be what ends them."""


def attempt(
    node: Node,
    device: Device,
    target: State,
    live: Live | None,
    *,
    wait: float,
    remote: bool = True,
    blame: bool = True,
) -> Tried:
    """Apply ``target``, and keep it if it lives within node.toml's time.

    ``live``: the interface before; ``remote``: whether a remote answered just now; ``blame``: whether a commit that
    fails is remembered as bad. Whatever goes wrong while applying, and whatever ends the run, brings the previous
    state back.
    """
    before = states.load(node.state_file)
    record = _record(node, before, target, live, remote=remote)
    if blame and record.attempt > ATTEMPTS:
        text = f"commit {_short(record)} is not tried again: {ATTEMPTS} runs ended before it was confirmed"
        bad = BadCommit(record.commit or "", text, record.fingerprint)
        closed = _closed(node, go_home(node, device, wait), bad)
        return Tried(Done((), _at_last(node, record)), closed, RolledBack(text, hint=RETRY))
    failed = None
    try:
        try:
            done = apply(node, device, before, evolve(target, trial=record), wait=wait)
        except HookFailed as error:  # the interface stands all the same, and the next run has nothing to repair
            done, failed = Done(), error
        desired = target.applied.desired
        assert desired is not None
        sought = goal(record, desired)
        missed, said = health.watch(node, sought, by_key(desired), node.confirm.deadline)
        if not missed:
            tried = states.load(node.state_file)
            state = confirmed(tried, "confirmed" if sought else "unconfirmed", time.time())
            states.save(node.state_file, state)
    except BaseException:
        _undo_at_once(node, device, wait)
        raise
    if missed:
        reason = missing(missed, node.confirm.deadline, said)
        return _judge(node, device, record, done, missed, reason, wait, blame=blame)
    if failed:
        raise failed
    return Tried(done, state)


def go_back(node: Node, device: Device, before: State, live: Live | None, verdict: Verdict, wait: float) -> Tried:
    """Go back from the trial that a run left open. While no remote answers it stays on record, to be tried again."""
    cut_off, desired = isinstance(verdict.problem, Unreachable), before.last_confirmed.desired
    changed = touches(difference(node, desired, before, live)) if desired else live is not None
    after = given_up(go_home(node, device, wait), verdict.after.remote, later=cut_off)
    if after != states.load(node.state_file):
        states.save(node.state_file, after)
    notes = ("rolled back what an interrupted run had tried",) if changed else ()
    return Tried(Done((), notes), after, verdict.problem, ask_again=cut_off and changed)


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


def _record(node: Node, before: State, target: State, live: Live | None, *, remote: bool) -> Trial:
    """The way back. Of a trial that was interrupted, what it began with counts."""
    earlier, origin = before.trial, home(before)
    peers = {**by_key(target.applied.desired), **by_key(origin.applied.desired)}
    kept = frozenset(by_key(target.applied.desired))
    living = health.answering(node.interface, peers, live, kept) if live else {}
    endpoints = {key: peer.endpoint for key, peer in live.peers.items() if peer.endpoint} if live else {}
    commit, fingerprint = target.applied.commit, target.applied.fingerprint
    if not earlier:
        previous, found = origin.applied, None
        if not previous.desired:
            text = read_conf(node)
            previous = evolve(previous, owned=owned(node, before, live), conf=states.digest(text) if text else "")
            found = as_desired(live) if live else None
        return Trial(commit, fingerprint, time.time(), 1, previous, origin.intent, found, living, endpoints, remote)
    same = (earlier.commit, earlier.fingerprint) == (commit, fingerprint)
    return evolve(
        earlier,
        commit=commit,
        fingerprint=fingerprint,
        began=time.time(),
        attempt=earlier.attempt + 1 if same else 1,
        alive={**living, **earlier.alive},
        endpoints={**endpoints, **earlier.endpoints},
        remote=remote,
    )


def _judge(
    node: Node, device: Device, trial: Trial, done: Done, missed: Goal, reason: str, wait: float, *, blame: bool
) -> Tried:
    """Go back, and look whether that helps: only then is it the commit, and not this machine's network.

    For as long as the commit had: a peer that answers slowly answers as slowly again.
    """
    text = f"rolled back commit {_short(trial)}: {reason}"
    back = go_home(node, device, wait)
    done = evolve(done, notes=(*done.notes, *_at_last(node, trial)))
    if not blame:
        return Tried(done, _closed(node, back, back.remote.bad), RolledBack(text))
    sought = proof(missed, trial)
    peers = by_key(trial.previous.desired or trial.found)
    try:
        left, _ = health.watch(node, sought, peers, node.confirm.deadline, any_part=True)
    except BaseException:
        _closed(node, back, back.remote.bad)
        raise
    if left == sought:
        text += ", nor with the previous state again; the next run retries it"
        return Tried(done, _closed(node, back, back.remote.bad), RolledBack(text))
    bad = BadCommit(trial.commit or "", text, trial.fingerprint)
    return Tried(done, _closed(node, back, bad), RolledBack(text, hint=RETRY))


def _closed(node: Node, back: State, bad: BadCommit | None) -> State:
    """Decided: it is rolled back."""
    closed = rolled_back(back, bad, time.time())
    states.save(node.state_file, closed)
    return closed


def _undo_at_once(node: Node, device: Device, wait: float) -> None:
    """The run is being ended, or the machine did not take a change. If this fails too, the next run has the record."""
    try:
        back = go_home(node, device, wait)
        if back.trial:
            states.save(node.state_file, evolve(back, trial=None))
    except MeshSyncError as error:
        device.note(f"the previous state is not back yet: {error.message}")


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


def _at_last(node: Node, trial: Trial) -> tuple[str, ...]:
    """What became of the interface where nothing had been applied before."""
    if trial.previous.desired:
        return ()
    return (f"{node.interface} is {'as it was found' if trial.found else 'gone again'}",)


def _short(trial: Trial) -> str:
    return (trial.commit or "")[:10]
