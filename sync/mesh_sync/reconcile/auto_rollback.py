"""A new state on trial: applied, watched, and then kept or undone.

The record in `State.trial` is there from before the first change until it is decided: whatever ends the run in between,
the next one finds what was tried and where to go back to.
"""

from __future__ import annotations

import time

from attrs import evolve, frozen

from mesh_sync.errors import MeshSyncError, RolledBack
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import private_key, with_held_key
from mesh_sync.node.state import LEARNT, RETRY, Bad, State, Trial
from mesh_sync.reconcile import conf_file, health
from mesh_sync.reconcile.apply import Done, enforce, owned
from mesh_sync.reconcile.endpoint_choice import undone
from mesh_sync.reconcile.health_goal import Goal, by_key, goal, missing, proof
from mesh_sync.reconcile.hooks import HookFailed, run_hooks
from mesh_sync.system.lock import locked
from mesh_sync.wireguard.desired import Desired, Owned
from mesh_sync.wireguard.device import Device
from mesh_sync.wireguard.live import Live, as_desired
from mesh_sync.wireguard.plan import Context, plan

ATTEMPTS = 2
"""A commit that ended so many runs before it was confirmed is not tried again: it may be what ends them."""


@frozen
class Tried:
    """How a trial ended: what was changed, the state from now on, and the reason if it was undone."""

    done: Done
    state: State
    problem: RolledBack | None = None


def attempt(
    node: Node,
    device: Device,
    target: State,
    desired: Desired,
    live: Live | None,
    *,
    wait: float,
    remote: bool = True,
    blame: bool = True,
) -> Tried:
    """Apply ``target``, whose interface is ``desired``, and keep it if it lives within node.toml's time.

    ``remote``: whether one answered just now; ``blame``: whether a commit that fails is remembered as bad. Whatever
    goes wrong while applying, and whoever ends the run, finds the previous state back in place.
    """
    before = states.load(node.state_file)
    record = _record(node, before, target, desired, live, remote=remote)
    if blame and record.attempt > ATTEMPTS:
        text = f"commit {_short(record)} is not tried again: {ATTEMPTS} runs ended before it was confirmed"
        back = go_home(node, device, wait)
        bad = Bad(record.commit or "", text, record.settings)
        return Tried(Done((), _at_last(node, record)), _close(node, back, bad), RolledBack(text, hint=RETRY))
    failed = None
    try:
        with locked(node.lock_file, wait):
            live = device.read(desired)
            try:
                done = enforce(node, device, desired, before, evolve(target, trial=record), live)
            except HookFailed as error:  # the interface stands all the same, and the next run has nothing to repair
                done, failed = Done(()), error
        sought = goal(record, desired)
        missed, said = health.watch(node, sought, by_key(desired), node.confirm.deadline)
        if not missed:
            state = _confirm(node, "confirmed" if sought else "unconfirmed")
    except BaseException:
        _undo_at_once(node, device, wait)
        raise
    if missed:
        reason = missing(missed, node.confirm.deadline, said)
        return _judge(node, device, record, done, missed, reason, wait, blame=blame)
    if failed:
        raise failed
    return Tried(done, state)


def go_home(node: Node, device: Device, wait: float) -> State:
    """Bring back what the trial on record began with, without asking anybody. The record stays."""
    present = states.load(node.state_file)
    trial = present.trial
    if not trial:
        return present
    home = present.home
    with locked(node.lock_file, wait):
        if home.desired:
            desired = with_held_key(home.desired, node)
            live = device.read(desired)
            enforce(node, device, desired, present, evolve(home, trial=trial), live, undo=trial)
            return states.load(node.state_file)
        if trial.found:
            _put_back(node, device, trial, with_held_key(trial.found, node), present.owned)
        else:
            _remove(node, device)
        conf_file.put_back(node, home.conf)
        return evolve(home, trial=trial)


def give_up(node: Node, device: Device, learnt: State, wait: float, *, later: bool) -> State:
    """Go home from a trial that a run left open, and remember it for ``later`` or not at all."""
    back = go_home(node, device, wait)
    after = evolve(back, trial=back.trial if later else None, **{name: getattr(learnt, name) for name in LEARNT})
    if after != states.load(node.state_file):
        states.save(node.state_file, after)
    return after


def _record(node: Node, before: State, target: State, desired: Desired, live: Live | None, *, remote: bool) -> Trial:
    """What it takes to go back. Of a trial that was interrupted, what it began with counts."""
    earlier, home = before.trial, before.home
    peers = {**by_key(desired), **by_key(home.desired)}
    living = health.answering(node.interface, peers, live, frozenset(by_key(desired))) if live else {}
    endpoints = {key: peer.endpoint for key, peer in live.peers.items() if peer.endpoint} if live else {}
    if not earlier:
        if not home.desired:
            text = conf_file.read(node)
            home = evolve(home, owned=owned(node, before, live), conf=states.digest(text) if text else "")
        found = as_desired(live) if live and not home.desired else None
        return Trial(target.commit, target.settings, time.time(), 1, home, found, living, endpoints, remote)
    same = (earlier.commit, earlier.settings) == (target.commit, target.settings)
    return evolve(
        earlier,
        commit=target.commit,
        settings=target.settings,
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

    For as long as the commit had: whoever answers slowly, answers as slowly again.
    """
    text = f"commit {_short(trial)} is undone: {reason}"
    back = go_home(node, device, wait)
    done = evolve(done, notes=(*done.notes, *_at_last(node, trial)))
    if not blame:
        return Tried(done, _close(node, back, back.bad), RolledBack(text))
    sought = proof(missed, trial)
    peers = by_key(trial.previous.desired or trial.found)
    try:
        left, _ = health.watch(node, sought, peers, node.confirm.deadline, any_part=True)
    except BaseException:
        _close(node, back, back.bad)
        raise
    if left == sought:
        text += ", nor with the previous state again; it is tried anew by the next run"
        return Tried(done, _close(node, back, back.bad), RolledBack(text))
    return Tried(done, _close(node, back, Bad(trial.commit or "", text, trial.settings)), RolledBack(text, hint=RETRY))


def _confirm(node: Node, how: str) -> State:
    """Decided: it stays."""
    tried = states.load(node.state_file)
    home = tried.home
    if not tried.history and home.commit:  # applied before there was a history
        tried = tried.ending("unconfirmed", home.applied_at or 0.0, home.commit)
    confirmed = evolve(tried, trial=None).ending(how, time.time())
    states.save(node.state_file, confirmed)
    return confirmed


def _close(node: Node, back: State, bad: Bad | None) -> State:
    """Decided: it is undone."""
    closed = evolve(back, trial=None, bad=bad)
    if back.trial and back.trial.commit:
        closed = closed.ending("rolled-back", time.time(), back.trial.commit)
    states.save(node.state_file, closed)
    return closed


def _undo_at_once(node: Node, device: Device, wait: float) -> None:
    """Somebody ends the run, or the machine did not take a change. If this fails too, the next run finds the record."""
    try:
        back = go_home(node, device, wait)
        if back.trial:
            states.save(node.state_file, evolve(back, trial=None))
    except MeshSyncError as error:
        device.note(f"the previous state is not back yet: {error.message}")


def _put_back(node: Node, device: Device, trial: Trial, found: Desired, tried: Owned) -> None:
    """Have an interface again of which nothing was known but how it was found."""
    live = device.read(found)
    changes, points = undone(found, live or Live(), plan(found, live, Context(tried)), trial.endpoints, time.time())
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
