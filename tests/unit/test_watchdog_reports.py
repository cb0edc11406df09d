"""Which observers are asked: those that answer, and now and then those that did not."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve

from mesh_watchdog.policy import rendezvous
from mesh_watchdog.policy.actions import Action, Call
from mesh_watchdog.policy.observations import Applied, Here
from mesh_watchdog.policy.reports import DEAF_AFTER, DEAF_FOR, Rendezvous, has_answered, has_asked, is_deaf
from unit.relay_world import FIRST, PEERS, SECOND, A, B, R, S, World, declared

HUB = "hub"


def observers_of(actions: list[Action], about: str = B) -> list[str]:
    """Who is asked where this peer is, as often as it is."""
    calls = (action for action in actions if isinstance(action, Call) and action.about == about)
    return [observer for call in calls for observer in call.observers]


def test_one_that_did_not_answer_is_asked_again_soon_and_then_ever_less_often() -> None:
    known, moment, pauses = Rendezvous(), 100.0, []
    for _ in range(5):
        known = has_asked(known, [HUB], moment)
        assert not is_deaf(known, HUB, moment + DEAF_AFTER)
        began = moment
        moment += DEAF_AFTER + 0.1
        while is_deaf(known, HUB, moment):
            moment += 0.1
        pauses.append(round(moment - began))
    assert pauses == [5, 15, 60, 300, 300]
    assert pauses[0] == DEAF_FOR[0]


def test_one_that_answers_is_asked_at_once_and_a_lost_answer_later_counts_as_the_first() -> None:
    known = has_asked(Rendezvous(), [HUB], 100.0)
    known = has_asked(known, [HUB], 100.0 + DEAF_FOR[0])
    assert is_deaf(known, HUB, 110.0)
    known = has_answered(known, HUB, 111.0)
    assert not is_deaf(known, HUB, 111.0)
    known = has_asked(known, [HUB], 200.0)
    assert is_deaf(known, HUB, 200.0 + DEAF_AFTER + 0.1)
    assert not is_deaf(known, HUB, 200.0 + DEAF_FOR[0])


def test_questions_in_between_do_not_make_it_wait_longer() -> None:
    known = has_asked(Rendezvous(), [HUB], 100.0)
    assert has_asked(known, [HUB], 102.0) is known


@pytest.mark.parametrize("sees", [False, True])
def test_a_relay_of_the_pair_is_asked_and_never_twice_in_one_moment(sees: bool) -> None:
    world = World()
    for _ in range(600):
        asked = observers_of(world.look())
        assert len(asked) == len(set(asked))
        for relay in (FIRST, SECOND):
            if relay in asked:
                world.report(relay, age=1.0 if sees else None)
    assert {R, S} <= set(observers_of(world.done))
    assert world.placed == ({B: FIRST} if sees else {})


def test_a_relay_whose_watchdog_does_not_answer_is_asked_ever_less_often() -> None:
    world = World()
    for _ in range(3600):
        world.look()
    asked = Counter(observers_of(world.done))
    assert 10 <= asked[FIRST] <= 20


def test_where_many_are_missed_all_are_asked_for_in_turn_within_one_budget() -> None:
    world = World()
    crowd = {f"p{number}": declared(f"p{number}", number) for number in range(20, 80)}
    world.see(Applied({**PEERS, **crowd}, here=Here("a", A)))
    state, asked = world.state, Counter[str]()
    for reading in range(400):
        moment = world.moment + reading * 0.1
        state, calls = rendezvous.call(state, list(crowd), moment)
        for call in calls:
            assert isinstance(call, Call)
            assert {R, S} <= set(call.observers)
            asked[call.about] += call.about in crowd
        state = evolve(state, rendezvous=has_answered(has_answered(state.rendezvous, R, moment), S, moment))
    assert 16 + 0.9 * 40 / 0.25 <= asked.total() <= 16 + 40 / 0.25
    assert max(asked.values()) - min(asked[key] for key in crowd) <= 1
