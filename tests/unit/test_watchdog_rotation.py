"""Peers that change their key, as the watchdog sees them."""

from __future__ import annotations

import pytest
from attrs import evolve

from mesh_watchdog.policy.observations import Applied, Seen, Snapshot
from mesh_watchdog.policy.peer import SEARCHING, UP
from mesh_watchdog.policy.polling import BUSY, ROTATING, ROTATING_LONG, next_poll
from mesh_watchdog.policy.state import State, misplaced, under_listed_keys
from unit.relay_world import FIRST, PEERS, SECOND, WHERE, B, C, World, relayed

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


def ending_its_change(world: World, key: str, new: str) -> None:
    """A peer that has changed over is listed under its new key alone, and the interface read again."""
    changing = Applied(PEERS, here=world.state.here, pairs={key: new})
    world.see(changing)
    world.see(evolve(changing, peers={new if each == key else each: one for each, one in PEERS.items()}, pairs={}))
    found = world.reading()
    world.moment += 1
    world.see(Snapshot({new if each == key else each: one for each, one in found.items()}, 1_700_000_000.0))


def test_at_the_end_of_its_change_a_peer_is_known_as_before() -> None:
    world = World()
    ending_its_change(world, C, "new")
    assert world.state.peers["new"].phase == UP
    assert world.state.peers["new"].good == WHERE
    world = World()
    ending_its_change(world, B, "new")
    assert world.state.peers["new"].phase == SEARCHING


def test_a_relay_that_changes_its_key_goes_on_carrying() -> None:
    world = relayed()
    for _ in range(2):
        world.report(SECOND), world.look()
    world.done.clear()
    ending_its_change(world, FIRST, "new")
    assert world.carries == []
    assert world.state.relaying.relay_of(B) == "new"


def test_a_peer_that_is_relayed_while_it_changes_its_key_is_not_carried_again() -> None:
    world = relayed()
    since = world.state.relaying.peers[B].since
    world.done.clear()
    ending_its_change(world, B, "new")
    assert world.carries == []
    assert (world.state.relaying.relay_of("new"), world.state.relaying.peers["new"].since) == (FIRST, since)
