"""What state.json says, for every outcome of a run: before the first change, and after the last. Pure.

A change that is about to be made is promised before it is made, so that a run that ends anywhere leaves a state from
which the next one converges: what may be ours is known to be ours, and a trial knows the way back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve

from mesh_sync.node.clock import Moment
from mesh_sync.node.state import REFUSALS, Applied, BadCommit, Held, Intent, Pause, Refusal, Remote, State, Trial
from mesh_sync.wireguard.desired import Desired, Owned
from mesh_sync.wireguard.psk_rollover import overlapping

UNSURE = "?"
"""In `Applied.given`: an endpoint was about to be given, or a lost memory knew of it. Equal to no declared one."""


# -- what the remote has taught


def heard(state: State, head: str | None, moment: float) -> State:
    """A remote answered with ``head``, or none did (None) at ``moment`` (Unix seconds)."""
    remote = state.remote
    if head is None:
        since = remote.silent_since or moment if state.last_confirmed.desired else remote.silent_since
        return evolve(state, remote=evolve(remote, silent_since=since))
    return evolve(state, remote=evolve(remote, commit=head, silent_since=None, mirrored_since=None))


def refused(state: State, refusal: Refusal) -> State:
    """The commit of ``refusal`` was not accepted: what was confirmed last stays."""
    others = [other for other in state.remote.refusals if other.commit != refusal.commit]
    refusals = (*others, refusal)[-REFUSALS:]
    return evolve(home(state), remote=evolve(state.remote, commit=refusal.commit, refusals=refusals))


def asked_others(state: State, moment: float) -> State:
    """All remotes were asked at ``moment`` (Unix seconds), and not only the first that answers."""
    return evolve(state, remote=evolve(state.remote, others_asked=moment))


def accepted(state: State, commit: str, fingerprint: str, desired: Desired) -> State:
    """The commit is accepted: this is what is to be brought about."""
    after = accepted_below(state, commit, fingerprint, desired)
    return evolve(after, remote=evolve(after.remote, commit=commit, refusals=()))


def held(state: State, how: Held) -> State:
    """The commit was accepted, and waits for the canaries: what was confirmed last stays."""
    return evolve(home(state), remote=evolve(state.remote, held=how))


def accepted_below(state: State, commit: str, fingerprint: str, desired: Desired) -> State:
    """The head was not accepted, but this commit in its history, the newest that an admin has signed."""
    anchor = state.remote.trusted
    applied = evolve(state.last_confirmed, commit=commit, fingerprint=fingerprint, desired=desired, anchor=anchor)
    return evolve(home(state), applied=applied, remote=evolve(state.remote, bad=None, held=None))


def went_back(state: State, commit: str, fingerprint: str, desired: Desired, pause: Pause) -> State:
    """A person goes back to ``commit`` and stays there."""
    applied = evolve(state.last_confirmed, commit=commit, fingerprint=fingerprint, desired=desired, anchor=None)
    return evolve(home(state), applied=applied, remote=evolve(state.remote, refusals=()), intent=Intent(pause))


def entered(after: State, moment: float) -> State:
    """It enters the history at ``moment``; it does not have to be confirmed."""
    return after.ending("unconfirmed", moment)


def home(state: State) -> State:
    """Where an open trial would go back to, with what the remote has taught since; without one, the state itself."""
    return evolve(state, applied=state.last_confirmed, intent=state.confirmed_intent, trial=None)


def worked_out(state: State, moment: Moment, dated: float | None = None) -> State:
    """What is to be brought about was worked out at ``moment``; ``dated``: its commit's date, None for as before."""
    applied = state.applied
    known_at = moment.at if moment.sure else applied.known_at
    return evolve(state, applied=evolve(applied, known_at=known_at, dated=applied.dated if dated is None else dated))


# -- one change of the interface


def before_changes(before: State, after: State, owned: Owned, unsure: Iterable[str], *, hooks_due: bool) -> State:
    """Before the first change from ``before`` to ``after``: all that will be ours is ours, and endpoints are open.

    ``owned``: what is ours now; ``unsure``: the public keys of peers that may be given an endpoint. A trial in
    ``after`` is on record from here on, one in ``before`` until the last change.
    """
    coming = after.applied.desired.owned if after.applied.desired else Owned()
    given = {**dict.fromkeys(unsure, UNSURE), **before.applied.given}
    applied = evolve(before.applied, owned=owned | coming, given=given, hooks_due=hooks_due)
    return evolve(before, applied=applied, trial=after.trial or before.trial)


def after_changes(
    after: State, *, conf: str, given: Mapping[str, str], resolved: Mapping[str, str], hooks_due: bool
) -> State:
    """After the last change: ``after`` is true, and only what it names is ours."""
    owned = after.applied.desired.owned if after.applied.desired else Owned()
    applied = evolve(after.applied, owned=owned, conf=conf, given=given, resolved=resolved, hooks_due=hooks_due)
    return evolve(after, applied=applied)


def stamped(reached: State, moment: float) -> State:
    """It was reached at ``moment`` (Unix seconds)."""
    return evolve(reached, applied=evolve(reached.applied, at=moment), lost=False)


def hooks_done(reached: State) -> State:
    """The hooks that follow a new interface have run, or failed: they are not run again."""
    return evolve(reached, applied=evolve(reached.applied, hooks_due=False))


def is_settled(before: State, after: State) -> bool:
    """Whether state.json, and what is kept beside it while preshared keys change, would stay as they are."""
    applied, desired = before.applied, before.applied.desired
    whole = not before.lost and bool(applied.conf) and not applied.hooks_due
    return (
        whole
        and after == before
        and desired is not None
        and applied.owned == desired.owned
        and not overlapping(desired)
    )


def nothing_applied(after: State, owned: Owned) -> State:
    """There is nothing to apply yet; what the look found out is kept."""
    return evolve(after, applied=evolve(after.applied, owned=owned))


# -- the end of a trial


def confirmed(tried: State, how: str, moment: float) -> State:
    """The tried commit stays; ``how``: `confirmed`, or `unconfirmed` where there was nothing to hear."""
    before = tried.last_confirmed
    if not tried.history and before.commit:  # applied before there was a history
        tried = tried.ending("unconfirmed", before.at or 0.0, before.commit)
    return evolve(tried, trial=None).ending(how, moment)


def rolled_back(back: State, bad: BadCommit | None, moment: float) -> State:
    """The tried commit is rolled back, and ``back`` is what there is again; ``bad``: it is not tried again.

    Else the next run does so, also where the head above it was refused.
    """
    is_bad = bad is not None and back.trial is not None and bad.commit == back.trial.commit
    refusals = back.remote.refusals if is_bad else ()
    closed = evolve(back, trial=None, remote=evolve(back.remote, bad=bad, refusals=refusals))
    return closed.ending("rolled-back", moment, back.trial.commit) if back.trial and back.trial.commit else closed


def given_up(back: State, learnt: Remote, *, later: bool) -> State:
    """A trial that a run left open has gone back; it stays on record for ``later``, or not at all."""
    return evolve(back, trial=back.trial if later else None, remote=learnt)


def gone_home(present: State, trial: Trial, applied: Applied) -> State:
    """The way back has ended at ``applied``; the trial stays on record until it is decided."""
    return evolve(present, applied=applied, intent=trial.intent, trial=trial)


def paused(state: State, intent: Intent) -> State:
    """A person asked for a pause, or for its end. A trial that is open heeds it too where it goes back to."""
    return evolve(state, intent=intent, trial=state.trial and evolve(state.trial, intent=intent))
