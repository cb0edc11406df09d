"""What state.json says before the first change and after the last, for every outcome of a run."""

from __future__ import annotations

import pytest
from attrs import evolve

from mesh_sync.node.history import Past
from mesh_sync.node.state import Anchor, Applied, BadCommit, Intent, Pause, Refusal, Remote, State, Trial
from mesh_sync.reconcile.promise import (
    UNSURE,
    accepted,
    accepted_below,
    after_changes,
    before_changes,
    confirmed,
    entered,
    given_up,
    gone_home,
    heard,
    home,
    hooks_done,
    is_settled,
    nothing_applied,
    paused,
    refused,
    rolled_back,
    stamped,
    went_back,
)
from mesh_sync.wireguard.desired import Desired, DesiredPeer, Owned


def interface(*keys: str) -> Desired:
    peers = tuple(DesiredPeer(key.lower(), key, (), frozenset()) for key in keys)
    return Desired("lab", "a", "own", 51820, 1420, frozenset({"10.0.0.1/32"}), frozenset({"10.0.0.0/24"}), peers)


OLD, NEW = interface("B"), interface("B", "C")
HOME = Applied("c1", "f", OLD, OLD.owned, {"B": "b:1"}, {"B": "192.0.2.1:1"}, "digest", 5.0, anchor=Anchor("c1"))
REFUSAL, BAD = Refusal("c0", "wrong"), BadCommit("c0", "silent")
BEFORE = State(HOME, Remote("c1", 3.0, (REFUSAL,), BAD, Anchor("c1"), "root"), history=(Past("c1", 5.0, "confirmed"),))
PAUSED = Intent(Pause(2.0, "why"))
TRIAL = Trial("c2", "f", 9.0, 1, HOME, PAUSED)
TRYING = evolve(BEFORE, applied=evolve(HOME, commit="c2", desired=NEW), trial=TRIAL)


def test_an_answer_ends_the_silence() -> None:
    after = heard(BEFORE, "c2", 7.0)
    assert (after.remote.commit, after.remote.silent_since, after.remote.trusted) == ("c2", None, Anchor("c1"))
    assert evolve(after, remote=BEFORE.remote) == BEFORE


def test_silence_counts_from_its_first_moment_once_there_is_something_to_keep() -> None:
    assert heard(BEFORE, None, 7.0) == BEFORE
    assert heard(evolve(BEFORE, remote=Remote()), None, 7.0).remote.silent_since == 7.0
    assert heard(State(), None, 7.0) == State()


def test_a_refused_commit_changes_nothing_that_is_applied() -> None:
    after = refused(BEFORE, Refusal("c2", "no"))
    assert (after.applied, after.history) == (HOME, BEFORE.history)
    assert (after.remote.commit, after.remote.refusal, after.remote.bad) == ("c2", Refusal("c2", "no"), BAD)


def test_a_refusal_is_about_one_head_and_of_many_the_last_are_kept() -> None:
    state = BEFORE
    for number in range(9):
        state = refused(state, Refusal(f"c{number}", "no"))
    assert [refusal.commit for refusal in state.remote.refusals] == ["c5", "c6", "c7", "c8"]
    assert heard(state, "c6", 7.0).remote.refusal == Refusal("c6", "no")
    assert heard(state, "c1", 7.0).remote.refusal is None


def test_what_stands_below_a_refused_head_is_accepted_and_the_head_stays_refused() -> None:
    state = refused(BEFORE, Refusal("c9", "no"))
    after = accepted_below(state, "c2", "g", NEW)
    assert (after.applied.commit, after.applied.desired, after.applied.anchor) == ("c2", NEW, Anchor("c1"))
    assert (after.remote.commit, after.remote.refusal, after.remote.bad) == ("c9", Refusal("c9", "no"), None)


def test_an_accepted_commit_takes_the_place_of_what_was_refused_and_rolled_back() -> None:
    after = accepted(BEFORE, "c2", "g", NEW)
    assert after.applied == evolve(HOME, commit="c2", fingerprint="g", desired=NEW, anchor=Anchor("c1"))
    assert after.remote == evolve(BEFORE.remote, commit="c2", refusals=(), bad=None)


@pytest.mark.parametrize(
    "after",
    [home(TRYING), refused(TRYING, REFUSAL), accepted(TRYING, "c1", "f", OLD)],
    ids=["home", "refused", "accepted"],
)
def test_with_a_trial_open_what_was_confirmed_before_it_counts(after: State) -> None:
    assert (after.applied, after.intent, after.trial) == (HOME, PAUSED, None)


# -- one change of the interface


def test_before_the_first_change_both_are_ours_and_endpoints_are_open() -> None:
    after = evolve(accepted(BEFORE, "c2", "f", NEW), trial=TRIAL)
    promised = before_changes(BEFORE, after, OLD.owned, ["C", "B"], hooks_due=True)
    assert promised.applied == evolve(
        HOME, owned=OLD.owned | NEW.owned, given={"B": "b:1", "C": UNSURE}, hooks_due=True
    )
    assert (promised.trial, promised.remote) == (TRIAL, BEFORE.remote)


def test_on_the_way_back_the_trial_stays_on_record_until_the_last_change() -> None:
    promised = before_changes(TRYING, gone_home(TRYING, TRIAL, HOME), NEW.owned, [], hooks_due=False)
    assert promised.trial == TRIAL
    assert before_changes(TRYING, home(TRYING), NEW.owned, [], hooks_due=False).trial == TRIAL
    assert promised.applied.owned == OLD.owned | NEW.owned


def test_after_the_last_change_only_what_is_desired_is_ours() -> None:
    after = accepted(TRYING, "c2", "f", NEW)
    reached = after_changes(after, conf="new", given={"C": "c:1"}, resolved={"C": "192.0.2.3:1"}, hooks_due=True)
    assert reached.applied == Applied(
        "c2", "f", NEW, NEW.owned, {"C": "c:1"}, {"C": "192.0.2.3:1"}, "new", 5.0, True, Anchor("c1")
    )
    assert stamped(evolve(reached, lost=True), 8.0).applied.at == 8.0
    assert not stamped(evolve(reached, lost=True), 8.0).lost
    assert not hooks_done(reached).applied.hooks_due


def test_settled_is_what_no_run_would_write_again() -> None:
    assert is_settled(BEFORE, BEFORE)
    unsettled = [
        evolve(BEFORE, lost=True),
        evolve(BEFORE, applied=evolve(HOME, conf="")),
        evolve(BEFORE, applied=evolve(HOME, hooks_due=True)),
        evolve(BEFORE, applied=evolve(HOME, owned=OLD.owned | NEW.owned)),
        State(),
    ]
    assert not any(is_settled(state, state) for state in unsettled)
    assert not is_settled(BEFORE, evolve(BEFORE, remote=Remote()))


def test_where_nothing_was_ever_applied_what_is_ours_is_known_all_the_same() -> None:
    owned = Owned(frozenset("X"))
    assert nothing_applied(heard(State(), "c1", 1.0), owned) == State(Applied(owned=owned), Remote("c1"))


# -- the end of a trial


def test_a_confirmed_commit_stays_and_enters_the_history() -> None:
    after = confirmed(TRYING, "confirmed", 10.0)
    assert (after.applied, after.trial) == (TRYING.applied, None)
    assert after.history == (*BEFORE.history, Past("c2", 10.0, "confirmed"))


def test_what_was_applied_before_there_was_a_history_enters_it_too() -> None:
    after = confirmed(evolve(TRYING, history=()), "confirmed", 10.0)
    assert after.history == (Past("c1", 5.0, "unconfirmed"), Past("c2", 10.0, "confirmed"))


def test_a_commit_that_need_not_be_confirmed_says_so() -> None:
    assert entered(accepted(BEFORE, "c2", "f", NEW), 10.0).history[-1] == Past("c2", 10.0, "unconfirmed")


def test_a_rolled_back_commit_is_remembered_and_what_was_learnt_stays() -> None:
    back = gone_home(evolve(TRYING, remote=Remote("c2", trusted=Anchor("c2"))), TRIAL, HOME)
    after = rolled_back(back, BadCommit("c2", "silent"), 11.0)
    assert (after.applied, after.intent, after.trial) == (HOME, PAUSED, None)
    assert after.remote == Remote("c2", trusted=Anchor("c2"), bad=BadCommit("c2", "silent"))
    assert after.history[-1] == Past("c2", 11.0, "rolled-back")


@pytest.mark.parametrize("later", [True, False])
def test_a_trial_that_is_given_up_stays_on_record_for_later_or_not_at_all(later: bool) -> None:
    after = given_up(gone_home(TRYING, TRIAL, HOME), Remote("c3"), later=later)
    assert (after.applied, after.remote, after.history) == (HOME, Remote("c3"), BEFORE.history)
    assert after.trial == (TRIAL if later else None)


# -- what a person asks for


def test_going_back_by_hand_pauses_and_forgets_what_was_refused() -> None:
    after = went_back(TRYING, "c0", "f", OLD, Pause(12.0, "rolled back from c2"))
    assert after.applied == evolve(HOME, commit="c0", anchor=None)
    assert (after.intent, after.trial) == (Intent(Pause(12.0, "rolled back from c2")), None)
    assert (after.remote.refusal, after.remote.bad) == (None, BAD)


def test_a_pause_holds_where_an_open_trial_goes_back_to_as_well() -> None:
    after = paused(evolve(TRYING, trial=evolve(TRIAL, intent=Intent())), PAUSED)
    assert (after.intent, after.confirmed_intent, after.applied) == (PAUSED, PAUSED, TRYING.applied)
    assert home(paused(after, Intent())).intent == Intent()
