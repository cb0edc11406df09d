"""Peers that change their key, as the watchdog sees them."""

from __future__ import annotations

import pytest

from mesh_watchdog.policy.observations import Seen
from mesh_watchdog.policy.polling import BUSY, ROTATING, ROTATING_LONG, next_poll
from mesh_watchdog.policy.state import State, misplaced, under_listed_keys

NOW = 1_000_000.0
PAIRS = {"old": "new"}
OTHER = Seen("203.0.113.3:1", 999_000, 1, 1)


def seen(old: Seen | None, new: Seen | None) -> dict[str, Seen]:
    found = {"old": old, "new": new, "other": OTHER}
    return {key: value for key, value in found.items() if value is not None}


CARRIES, STANDS_BY = Seen("a:1", 999_900, 10, 10), Seen("a:1", 0, 0, 0, carries=False)
STALE, SPOKE = Seen("a:1", 999_900, 10, 10), Seen("a:1", 999_999, 5, 5, carries=False)


@pytest.mark.parametrize(
    ("old", "new", "shown", "wrong"),
    [
        (CARRIES, STANDS_BY, CARRIES, False),
        (STALE, SPOKE, SPOKE, True),
        (Seen("a:1", 999_900, 10, 10, carries=False), Seen("a:1", 999_999, 5, 5), Seen("a:1", 999_999, 5, 5), False),
        (CARRIES, None, CARRIES, False),
        (None, SPOKE, SPOKE, True),
    ],
)
def test_the_policy_sees_the_key_that_the_peer_speaks_under(
    old: Seen | None, new: Seen | None, shown: Seen, wrong: bool
) -> None:
    reading = seen(old, new)
    found = under_listed_keys(PAIRS, reading, NOW)
    assert found["old"] == shown
    assert found["other"] == OTHER
    assert misplaced(PAIRS, reading, NOW) == wrong


def test_a_peer_that_is_not_on_the_interface_is_not_put_there() -> None:
    assert under_listed_keys(PAIRS, seen(None, None), NOW) == {"other": OTHER}
    assert not misplaced(PAIRS, seen(None, None), NOW)


def test_the_interface_is_read_often_while_a_peer_has_two_keys_and_less_often_if_that_lasts() -> None:
    waits = [next_poll(State(paired=since), NOW, idle=5.0) for since in (None, NOW - 1.0, NOW - ROTATING_LONG)]
    assert waits == [5.0, ROTATING, BUSY]
