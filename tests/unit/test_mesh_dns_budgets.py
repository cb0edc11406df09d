"""One that asks without end takes nothing from the others."""

from __future__ import annotations

from mesh_watchdog.mesh_dns.budgets import Bucket, Budget


def test_a_bucket_gives_what_flows_in() -> None:
    moment = 0.0
    bucket = Bucket(10.0, 5.0, lambda: moment)
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]
    assert bucket.wait == 0.1
    moment = 0.25
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    moment = 100.0
    assert sum(bucket.take() for _ in range(100)) == 5


def test_who_has_spent_its_own_leaves_the_rest_to_others() -> None:
    budget = Budget((0.001, 3), (0.001, 5))
    assert [budget.take("a") for _ in range(100)].count(True) == 3
    assert [budget.take("b") for _ in range(100)].count(True) == 2
    assert not budget.take("c")


def test_sources_that_have_fallen_silent_are_forgotten() -> None:
    moment = 0.0
    budget = Budget((1.0, 3), (1e9, 1e9), lambda: moment)
    assert all(budget.take(number) for number in range(1000))
    moment = 61.0
    assert budget.take("another")
    assert len(budget) == 1


def test_what_costs_more_than_a_bucket_holds_is_paid_for_later() -> None:
    moment = 0.0
    bucket = Bucket(10.0, 6.0, lambda: moment)
    assert bucket.take(1)
    assert bucket.take(16)
    moment = 1.3
    assert not bucket.take(16)
    moment = 1.5
    assert bucket.take(16)
