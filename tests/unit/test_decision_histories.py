"""What a run of `mesh-sync now` does next: what holds whatever a node lives through."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.node.clock import trusted
from mesh_sync.node.state import Applied, BadCommit, Intent, Pause, Refusal, State, Trial
from mesh_sync.reconcile import decision, promise
from unit.decided import NODE, NOW, interface

COMMITS = tuple(f"c{number}" for number in range(4))


@frozen
class Event:
    """One minute: what the remote says, what the commit is worth, how the trial ends, what a person does."""

    head: str | None
    good: bool
    lives: bool
    helps: bool
    killed: bool
    clock: float
    pause: bool | None
    retry: bool
    confirm: bool


EVENTS = st.builds(
    Event,
    head=st.sampled_from((None, *COMMITS)),
    good=st.booleans(),
    lives=st.booleans(),
    helps=st.booleans(),
    killed=st.booleans(),
    clock=st.floats(-1e6, 1e6),
    pause=st.sampled_from((None, None, None, True, False)),
    retry=st.booleans(),
    confirm=st.booleans(),
)


class Node:
    """A node without a machine: it does what `reconcile.now` does with what was decided, and keeps a diary."""

    def __init__(self) -> None:
        self.state = State()
        self.moment = NOW
        self.decisions: list[decision.Decision] = []

    def live(self, event: Event) -> None:
        self.moment += event.clock
        if event.pause is not None:
            asked = Intent(Pause(self.moment)) if event.pause else Intent()
            trial = self.state.trial and evolve(self.state.trial, intent=asked)
            self.state = evolve(self.state, intent=asked, trial=trial)
        before = self.state
        known = promise.heard(before, event.head, self.moment)
        decided = decision.decide(known, event.head, NODE, trusted(self.moment), retry=event.retry)
        self.decisions.append(decided)
        if isinstance(decided, decision.Evaluate):
            wanted = interface(100 + COMMITS.index(decided.commit))
            target = promise.accepted(known, decided.commit, NODE, wanted)
            if not event.good:
                anchor = known.remote.trusted.commit if known.remote.trusted else None
                target = promise.refused(known, Refusal(decided.commit, "wrong", (), NODE, anchor, self.moment))
        else:
            target = promise.home(known)
        way = decision.settle(before, target.applied, differs=True, confirm=event.confirm)
        if way is decision.Way.TRY:
            self._try(target, event)
        elif before.trial and way is decision.Way.GO_BACK:
            back = promise.gone_home(before, before.trial, before.trial.previous)
            self.state = promise.given_up(back, target.remote, later=event.head is None)
        else:
            self.state = promise.entered(target, self.moment) if way is decision.Way.APPLY_UNCONFIRMED else target

    def _try(self, target: State, event: Event) -> None:
        before = self.state
        attempt = before.trial.attempt + 1 if before.trial and before.trial.commit == target.applied.commit else 1
        record = Trial(
            target.applied.commit, NODE, self.moment, attempt, before.last_confirmed, before.confirmed_intent
        )
        tried = evolve(target, trial=record)
        if event.killed:
            self.state = tried
        elif event.lives:
            self.state = promise.confirmed(tried, "confirmed", self.moment)
        else:
            bad = BadCommit(record.commit or "", "silent", NODE) if event.helps else tried.remote.bad
            self.state = promise.rolled_back(promise.gone_home(tried, record, record.previous), bad, self.moment)


def histories(check: Callable[[Node, State, Event], None]) -> None:
    @given(st.lists(EVENTS, max_size=30))
    def live(events: list[Event]) -> None:
        node = Node()
        for event in events:
            before = node.state
            node.live(event)
            check(node, before, event)

    live()


def test_silence_changes_nothing_that_was_confirmed() -> None:
    def check(node: Node, before: State, event: Event) -> None:
        if event.head is None:
            assert node.state.last_confirmed == before.last_confirmed
            assert node.state.remote.trusted == before.remote.trusted

    histories(check)


def test_a_silent_remote_ends_no_trial_without_a_verdict() -> None:
    def check(node: Node, before: State, event: Event) -> None:
        if before.trial and event.head is None:
            assert isinstance(node.decisions[-1], decision.Undo)
            assert node.state.applied == before.trial.previous
            assert node.state.trial
            assert node.state.trial.attempt == before.trial.attempt

    histories(check)


def test_a_paused_node_takes_no_commit() -> None:
    def check(node: Node, before: State, event: Event) -> None:
        paused = before.confirmed_intent.pause if event.pause is None else event.pause
        if paused:
            assert not isinstance(node.decisions[-1], decision.Evaluate)
            assert node.state.last_confirmed == before.last_confirmed

    histories(check)


def test_a_commit_that_was_refused_or_rolled_back_is_looked_at_again_only_when_asked_or_after_a_day() -> None:
    def check(node: Node, before: State, event: Event) -> None:
        bad, refusal = before.remote.bad, before.remote.refusal
        known = {bad.commit} if bad else set()
        if refusal and 0 <= node.moment - (refusal.at or 0.0) < decision.REFUSED_FOR:
            known.add(refusal.commit)
        at_home = before.last_confirmed.commit
        if event.head in known and event.head != at_home and not event.retry:
            assert not isinstance(node.decisions[-1], decision.Evaluate)

    histories(check)


def test_a_refused_or_rolled_back_commit_leaves_what_was_confirmed() -> None:
    def check(node: Node, before: State, event: Event) -> None:
        if isinstance(node.decisions[-1], decision.Evaluate) and not (
            event.good and (event.lives or not event.confirm)
        ):
            assert node.state.last_confirmed == before.last_confirmed

    histories(check)


def test_a_commit_to_blame_is_not_tried_by_the_next_run() -> None:
    def check(node: Node, before: State, event: Event) -> None:
        tried = isinstance(node.decisions[-1], decision.Evaluate) and event.good and event.confirm and not event.killed
        new = event.head and decision.is_new(
            before.last_confirmed, Applied(event.head, NODE, interface(100 + int(event.head[1:])))
        )
        if tried and new and not event.lives and event.helps:
            assert decision.decide(node.state, event.head, NODE, trusted(node.moment)) == decision.Keep(
                decision.Reason.ROLLED_BACK
            )

    histories(check)


def test_only_a_run_that_was_killed_leaves_a_trial_open_and_the_way_back_stays_the_same() -> None:
    def check(node: Node, before: State, event: Event) -> None:
        if node.state.trial:
            assert event.killed or event.head is None
            assert node.state.trial.previous == before.last_confirmed

    histories(check)


def test_a_good_head_is_taken_by_the_next_undisturbed_run_whatever_came_before() -> None:
    @given(st.lists(EVENTS, max_size=20), st.sampled_from(COMMITS))
    def live(events: list[Event], head: str) -> None:
        node = Node()
        for event in events:
            node.live(event)
        node.live(Event(head, True, True, True, False, 60.0, False, True, True))
        node.live(Event(head, True, True, True, False, 60.0, None, True, True))
        assert (node.state.applied.commit, node.state.trial) == (head, None)
        assert decision.decide(node.state, head, NODE, trusted(node.moment)) == decision.InSync()

    live()


def test_what_is_in_sync_stays_so_whatever_the_clock_says() -> None:
    def check(node: Node, before: State, event: Event) -> None:
        if isinstance(node.decisions[-1], decision.InSync):
            assert decision.decide(node.state, event.head, NODE, trusted(node.moment - 1e6)) == decision.InSync()
            assert decision.decide(node.state, event.head, NODE, trusted(node.moment + 1e6)) == decision.InSync()

    histories(check)
