"""Which observers are asked: those that answer, and now and then those that did not."""

from __future__ import annotations

from mesh_watchdog.policy.reports import DEAF_AFTER, DEAF_FOR, Rendezvous, has_answered, has_asked, is_deaf

HUB = "hub"


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
    assert pauses == [5, 15, 60, 60, 60]
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
