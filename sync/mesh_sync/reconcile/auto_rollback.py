"""A commit on trial: applied, watched, and then kept or rolled back.

The record in `State.trial` is there from before the first change until it is decided: whatever ends the run in between,
the next one finds what was tried and the way back.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from attrs import evolve, frozen

from mesh_sync.errors import MeshSyncError, RolledBack, Unreachable
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.state import BadCommit, State, Trial
from mesh_sync.reconcile import health
from mesh_sync.reconcile.apply import HookFailed, apply
from mesh_sync.reconcile.decision import LONGEST_REST
from mesh_sync.reconcile.drift import difference, owned, read_conf, touches
from mesh_sync.reconcile.foreign import at_stake, joined
from mesh_sync.reconcile.health_goal import Goal, Patience, by_key, goal, missing, patience, proof
from mesh_sync.reconcile.outcome import Done, Tried
from mesh_sync.reconcile.promise import confirmed, given_up, home, rolled_back
from mesh_sync.reconcile.verdict import RETRY, Verdict
from mesh_sync.reconcile.way_home import go_home
from mesh_sync.wireguard.device import Device
from mesh_sync.wireguard.live import Live, as_desired

ATTEMPTS = 2
"""A commit that ended so many runs before it was confirmed is not tried again: it may be what ends them."""
REST = 60.0
"""Seconds in which a commit that may not be at fault is not tried again: doubled each time, from the second on."""


def attempt(
    node: Node,
    device: Device,
    target: State,
    *,
    wait: float,
    took: float | None,
    blame: bool = True,
) -> Tried:
    """Apply ``target``, and keep it if it lives within node.toml's time.

    ``took``: seconds after which a remote answered just now, None if none did; ``blame``: whether a commit that fails
    is remembered as bad. Whatever goes wrong while applying, and whatever ends the run, brings the previous state back.

    The interface is read again for this: since the run began, a fetch or the canaries may have taken minutes.
    """
    before = states.load(node.state_file)
    live = device.read(before.applied.desired, target.applied.desired)
    record = _record(node, before, target, live, remote=took is not None)
    if blame and record.attempt > ATTEMPTS:
        text = f"commit {_short(record)} is not tried again: {ATTEMPTS} runs ended before it was confirmed"
        bad = BadCommit(record.commit or "", text, record.fingerprint)
        closed = _closed(node, go_home(node, device, wait), bad)
        return Tried(Done((), _at_last(node, record)), closed, RolledBack(text, hint=RETRY))
    waiting = patience(node.confirm.deadline, took, node.repository)
    round_ = _Round(node, device, target, record, waiting, wait)
    first = round_.try_it()
    if isinstance(first, Tried):
        return first
    if not blame:
        back = go_home(node, device, wait)
        done = evolve(first.done, notes=(*first.done.notes, *_at_last(node, record)))
        return Tried(done, _closed(node, back, back.remote.bad), RolledBack(first.text))
    return round_.judge(first)


@frozen
class _Missed:
    """The tried commit has not shown ``goal``; ``text`` says so."""

    done: Done
    goal: Goal
    text: str


@frozen
class _Round:
    """A commit on trial, and what there is to judge it by."""

    node: Node
    device: Device
    target: State
    trial: Trial
    patience: Patience
    wait: float

    def try_it(self) -> Tried | _Missed:
        """Apply it, and keep it if it lives. If not, it is still there."""
        node, device, failed = self.node, self.device, None
        before = states.load(node.state_file)
        try:
            try:
                done = apply(node, device, before, evolve(self.target, trial=self.trial), wait=self.wait)
            except HookFailed as error:  # the interface stands all the same, and the next run has nothing to repair
                done, failed = Done(), error
            desired = self.target.applied.desired
            assert desired is not None
            sought = goal(self.trial, desired)
            missed, said = health.watch(node, sought, by_key(desired), self.patience)
            if not missed:
                tried = states.load(node.state_file)
                state = confirmed(tried, "confirmed" if sought else "unconfirmed", time.time())
                states.save(node.state_file, state)
        except BaseException:
            _undo_at_once(node, device, self.wait)
            raise
        if missed:
            reason = missing(missed, self.patience, said)
            return _Missed(done, missed, f"rolled back commit {_short(self.trial)}: {reason}")
        if failed:
            raise failed
        return Tried(done, state)

    def judge(self, first: _Missed) -> Tried:
        """Go back, and look whether that helps; and then once more, for it may have helped by chance.

        A commit is bad if what was missed is gone with it, there without it, and gone with it again. Anything else is
        the network, or the git host.
        """
        back, proven = self._back_home(first)
        last = first
        if proven:
            second = self.try_it()
            if isinstance(second, Tried):
                note = f"{first.text}; tried again, it was confirmed"
                return evolve(second, done=evolve(second.done, notes=(*second.done.notes, note)))
            last = second
            back, proven = self._back_home(second)
        text, commit = last.text, self.trial.commit or ""
        done = evolve(first.done, notes=(*first.done.notes, *_at_last(self.node, self.trial)))
        if proven:
            bad = BadCommit(commit, text, self.trial.fingerprint)
            return Tried(done, _closed(self.node, back, bad), RolledBack(text, hint=RETRY))
        rest, moment = rest_of(back, commit), time.time()
        text += ", nor with the previous state again; "
        if not rest:
            text += "the next run retries it"
            return Tried(done, _closed(self.node, back, back.remote.bad), RolledBack(text))
        text += f"it is tried again after {datetime.fromtimestamp(moment + rest, UTC):%H:%M:%S} UTC"
        bad = BadCommit(commit, text, self.trial.fingerprint, moment + rest)
        return Tried(done, _closed(self.node, back, bad), RolledBack(text))

    def _back_home(self, missed: _Missed) -> tuple[State, bool]:
        """Go back. Return the state, and whether something of what was missed is there again.

        For as long as the commit had: who answers slowly answers as slowly again.
        """
        node, trial = self.node, self.trial
        back, sought = go_home(node, self.device, self.wait), proof(missed.goal, trial)
        peers = by_key(trial.previous.desired or trial.found)
        try:
            left, _ = health.watch(node, sought, peers, self.patience, any_part=True)
        except BaseException:
            _closed(node, back, back.remote.bad)
            raise
        return back, left != sought


def rest_of(state: State, commit: str) -> float:
    """Seconds in which a commit is not tried again that is rolled back now, and may not be at fault; 0 the first time.

    A git host that answers each run once, and then no more, would have the node try it each minute.
    """
    before = sum(past.commit == commit and past.ended == "rolled-back" for past in state.history)
    return min(REST * 2**before, LONGEST_REST) if before else 0.0


def go_back(node: Node, device: Device, before: State, live: Live | None, verdict: Verdict, wait: float) -> Tried:
    """Go back from the trial that a run left open. While no remote answers it stays on record, to be tried again."""
    cut_off, desired = isinstance(verdict.problem, Unreachable), before.last_confirmed.desired
    changed = touches(difference(node, desired, before, live)) if desired else live is not None
    after = given_up(go_home(node, device, wait), verdict.after.remote, later=cut_off)
    if after != states.load(node.state_file):
        states.save(node.state_file, after)
    notes = ("rolled back what an interrupted run had tried",) if changed else ()
    return Tried(Done((), notes), after, verdict.problem, ask_again=cut_off and changed)


def _record(node: Node, before: State, target: State, live: Live | None, *, remote: bool) -> Trial:
    """The way back. Of a trial that was interrupted, what it began with counts."""
    earlier, origin = before.trial, home(before)
    peers = {**by_key(target.applied.desired), **by_key(origin.applied.desired)}
    kept = frozenset(by_key(target.applied.desired))
    living = health.answering(node.interface, peers, live, kept) if live else {}
    endpoints = {key: peer.endpoint for key, peer in live.peers.items() if peer.endpoint} if live else {}
    commit, fingerprint = target.applied.commit, target.applied.fingerprint
    ours, coming = owned(node, before, live), target.applied.desired
    others = at_stake(live, ours, coming) if live and coming and origin.applied.desired else None
    if not earlier:
        previous, found = origin.applied, others
        if not previous.desired:
            text = read_conf(node)
            previous = evolve(previous, owned=ours, conf=states.digest(text) if text else "")
            found = as_desired(live) if live else None
        return Trial(commit, fingerprint, time.time(), 1, previous, origin.intent, found, living, endpoints, remote)
    same = (earlier.commit, earlier.fingerprint) == (commit, fingerprint)
    return evolve(
        earlier,
        commit=commit,
        fingerprint=fingerprint,
        began=time.time(),
        attempt=earlier.attempt + 1 if same else 1,
        found=joined(earlier.found, others),
        alive={**living, **earlier.alive},
        endpoints={**endpoints, **earlier.endpoints},
        remote=remote,
    )


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


def _at_last(node: Node, trial: Trial) -> tuple[str, ...]:
    """What became of the interface where nothing had been applied before."""
    if trial.previous.desired:
        return ()
    return (f"{node.interface} is {'as it was found' if trial.found else 'gone again'}",)


def _short(trial: Trial) -> str:
    return (trial.commit or "")[:10]
