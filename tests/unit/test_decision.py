"""What a run of `mesh-sync now` does next: every branch."""

from __future__ import annotations

import pytest
from attrs import evolve

from mesh_sync.node.clock import trusted
from mesh_sync.node.state import Anchor, Applied, BadCommit, Intent, Pause, Refusal, Remote, State, Trial
from mesh_sync.reconcile.decision import (
    LONGEST_REST,
    REFUSED_FOR,
    Decision,
    Evaluate,
    InSync,
    Keep,
    Reason,
    Undo,
    Way,
    decide,
    is_new,
    settle,
)
from unit.decided import NODE, NOW, interface

HOME = Applied("c1", NODE, interface())
TRIAL = Trial("c2", NODE, 900.0, 1, HOME)
AT_HOME = State(HOME, Remote("c1", trusted=Anchor("c1")))
TRYING = State(Applied("c2", NODE, interface(2)), Remote("c2", trusted=Anchor("c2")), TRIAL)
BAD = evolve(AT_HOME.remote, bad=BadCommit("c2", "silent", NODE))
REFUSED = evolve(AT_HOME.remote, refusals=(Refusal("c2", "wrong", (), NODE, "c1", NOW),))
PAUSED = Intent(Pause(1.0))

CASES: dict[str, tuple[State, str | None, Decision]] = {
    "the head is applied": (AT_HOME, "c1", InSync()),
    "no remote answered": (AT_HOME, None, Keep(Reason.UNREACHABLE)),
    "a new head": (AT_HOME, "c2", Evaluate("c2")),
    "the first head": (State(), "c1", Evaluate("c1")),
    "no remote at first": (State(), None, Keep(Reason.UNREACHABLE)),
    "another fingerprint": (evolve(AT_HOME, applied=evolve(HOME, fingerprint="old")), "c1", Evaluate("c1")),
    "a peer has expired": (evolve(AT_HOME, applied=evolve(HOME, desired=interface(until=NOW))), "c1", Evaluate("c1")),
    "one will expire": (evolve(AT_HOME, applied=evolve(HOME, desired=interface(until=NOW + 1))), "c1", InSync()),
    "paused": (evolve(AT_HOME, intent=PAUSED), "c2", Keep(Reason.PAUSED)),
    "paused, and no remote answered": (evolve(AT_HOME, intent=PAUSED), None, Keep(Reason.UNREACHABLE)),
    "rolled back before": (evolve(AT_HOME, remote=BAD), "c2", Keep(Reason.ROLLED_BACK)),
    "rolled back, and not tried again before its time": (
        evolve(AT_HOME, remote=evolve(BAD, bad=BadCommit("c2", "silent", NODE, NOW + 1))), "c2",
        Keep(Reason.ROLLED_BACK),
    ),
    "rolled back, and its time has come": (
        evolve(AT_HOME, remote=evolve(BAD, bad=BadCommit("c2", "silent", NODE, NOW))), "c2", Evaluate("c2"),
    ),
    "rolled back by a clock that was ahead": (
        evolve(AT_HOME, remote=evolve(BAD, bad=BadCommit("c2", "silent", NODE, NOW + LONGEST_REST + 1))), "c2",
        Evaluate("c2"),
    ),
    "refused by a clock that was ahead": (
        evolve(AT_HOME, remote=evolve(REFUSED, refusals=(evolve(REFUSED.refusals[0], at=NOW + 1),))), "c2",
        Evaluate("c2"),
    ),
    "refused a day ago": (
        evolve(AT_HOME, remote=evolve(REFUSED, refusals=(evolve(REFUSED.refusals[0], at=NOW - REFUSED_FOR),))), "c2",
        Evaluate("c2"),
    ),
    "one had not expired yet": (
        evolve(AT_HOME, applied=evolve(HOME, desired=evolve(interface(), valid_from=NOW + 1))), "c1", Evaluate("c1"),
    ),
    "one has expired": (
        evolve(AT_HOME, applied=evolve(HOME, desired=evolve(interface(), valid_from=NOW))), "c1", InSync(),
    ),
    "another commit was": (evolve(AT_HOME, remote=BAD), "c3", Evaluate("c3")),
    "rolled back with another node.toml": (
        evolve(AT_HOME, remote=evolve(BAD, bad=BadCommit("c2", "silent", "old"))), "c2", Evaluate("c2"),
    ),
    "refused before": (evolve(AT_HOME, remote=REFUSED), "c2", Keep(Reason.REFUSED)),
    "refused while less was trusted": (
        evolve(AT_HOME, remote=evolve(REFUSED, trusted=Anchor("c2"))), "c2", Evaluate("c2"),
    ),
    "refused by the clock": (
        evolve(AT_HOME, remote=evolve(REFUSED, refusals=(Refusal("c2", "expired", (), "", "c1"),))),
        "c2", Evaluate("c2"),
    ),
    "refused, and back": (evolve(AT_HOME, remote=REFUSED), "c1", InSync()),
    "a trial is open, and its commit is the head": (TRYING, "c2", Evaluate("c2")),
    "a trial is open, and the list moved on": (TRYING, "c3", Evaluate("c3")),
    "a trial is open, and the list went back": (TRYING, "c1", Undo(TRIAL, InSync())),
    "a trial is open, and no remote answered": (TRYING, None, Undo(TRIAL, Keep(Reason.UNREACHABLE))),
    "a trial is open on a node that was paused": (
        evolve(TRYING, trial=evolve(TRIAL, intent=PAUSED)), "c3",
        Undo(evolve(TRIAL, intent=PAUSED), Keep(Reason.PAUSED)),
    ),
    "a trial is open, and its commit was refused since": (
        evolve(TRYING, remote=evolve(TRYING.remote, refusals=(Refusal("c2", "no", (), NODE, "c2", NOW),))), "c2",
        Undo(TRIAL, Keep(Reason.REFUSED)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("state", "head", "expected"), CASES.values(), ids=CASES)
def test_what_an_answer_leads_to(state: State, head: str | None, expected: Decision) -> None:
    assert decide(state, head, NODE, trusted(NOW)) == expected


@pytest.mark.parametrize("remote", [BAD, REFUSED], ids=["rolled back", "refused"])
def test_retry_evaluates_it_all_the_same(remote: Remote) -> None:
    state = evolve(AT_HOME, remote=remote)
    assert decide(state, "c2", NODE, trusted(NOW), retry=True) == Evaluate("c2")
    assert decide(state, "c1", NODE, trusted(NOW), retry=True) == InSync()
    assert decide(evolve(state, intent=PAUSED), "c2", NODE, trusted(NOW), retry=True) == Keep(Reason.PAUSED)


NEW = Applied("c2", NODE, interface(2))
SETTLED: dict[str, tuple[State, Applied, bool, bool, Way]] = {
    "nothing new": (AT_HOME, HOME, True, True, Way.APPLY),
    "another commit, the same interface": (AT_HOME, evolve(HOME, commit="c2"), False, True, Way.APPLY),
    "the same commit, a peer expired": (AT_HOME, evolve(HOME, desired=interface(2)), True, True, Way.APPLY),
    "new": (AT_HOME, NEW, True, True, Way.TRY),
    "new, and the kernel has it already": (AT_HOME, NEW, False, True, Way.APPLY_UNCONFIRMED),
    "new, and nothing has to be confirmed": (AT_HOME, NEW, True, False, Way.APPLY_UNCONFIRMED),
    "the first": (State(), Applied("c1", NODE, interface()), True, True, Way.TRY),
    "nothing yet": (State(), Applied(), False, True, Way.APPLY),
    "tried again": (TRYING, TRYING.applied, False, True, Way.TRY),
    "tried, and confirming was turned off": (TRYING, TRYING.applied, False, False, Way.APPLY_UNCONFIRMED),
    "tried, and back": (TRYING, HOME, True, True, Way.GO_BACK),
    "tried first, and nothing is accepted now": (
        State(trial=Trial("c1", NODE, 1.0, 1, Applied())), Applied(), False, True,
        Way.GO_BACK,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("state", "target", "differs", "confirm", "expected"), SETTLED.values(), ids=SETTLED)
def test_how_it_is_brought_about(state: State, target: Applied, differs: bool, confirm: bool, expected: Way) -> None:
    assert settle(state, target, differs=differs, confirm=confirm) == expected


def test_new_is_another_commit_with_another_interface() -> None:
    assert is_new(HOME, Applied("c2", NODE, interface(2)))
    assert not is_new(HOME, Applied("c2", NODE, HOME.desired))
    assert not is_new(HOME, Applied("c1", NODE, interface(2)))
