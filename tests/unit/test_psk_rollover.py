"""Which of two preshared keys a pair uses: both ends decide alike, and no session that is alive is disturbed."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.key_rollover import placed
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.psk_rollover import (
    FIRST,
    MOVING,
    SLOT,
    TRIES,
    counters,
    having_either,
    held_over,
    key_of,
    settled,
)

MOVE = 1_000_000.0
KEY = "B" * 43 + "="
PEER = DesiredPeer("b", KEY, ("10.0.0.2",), frozenset(), preshared_key="newer", former_key="former", moves_at=MOVE)
BY_HAND = DesiredPeer("b", KEY, ("10.0.0.2",), frozenset(), preshared_key="newer", former_key="former")
HELD = evolve(BY_HAND, held_until=MOVE + MOVING)
ALONE = DesiredPeer("b", KEY, ("10.0.0.2",), frozenset(), preshared_key="newer")
EVEN = MOVE + 3600 - (MOVE + 3600) % (2 * SLOT)


def chosen(peer: DesiredPeer, *, handshake: float, moment: float, present: str, asked: bool = False) -> str:
    live = LivePeer(KEY, frozenset(), handshake=int(handshake), preshared_key=present)
    return key_of(peer, live, asked=asked, moment=moment)


@pytest.mark.parametrize(
    ("what", "peer", "handshake", "moment", "present", "asked", "expected"),
    [
        ("no overlap", ALONE, MOVE, MOVE, "former", True, "newer"),
        ("before the move", PEER, MOVE - 60, MOVE - 1, "former", False, "former"),
        ("before the move, dead", PEER, 0, MOVE - 1, "newer", True, "former"),
        ("before the move, nobody asks", PEER, 0, MOVE - 1, "newer", False, "former"),
        ("before the move, the slot of the newer", PEER, 0, EVEN - 7200, "newer", True, "former"),
        ("a session from before, on a new device", PEER, MOVE - 1, MOVE + 100, "newer", False, "former"),
        ("a session from before", PEER, MOVE - 1, MOVE + 100, "former", False, "former"),
        ("its successor", PEER, MOVE + 1, MOVE + 10, "former", False, "newer"),
        ("the next ones", PEER, MOVE + 240, MOVE + 250, "newer", False, "newer"),
        ("a session whose renewal is overdue is left alone", PEER, MOVE + 1, MOVE + 179, "newer", True, "newer"),
        ("it died", PEER, MOVE + 1, MOVE + 185, "newer", True, "former"),
        ("it died, in the slot of the newer", PEER, EVEN - 185, EVEN, "newer", True, "former"),
        ("and nobody misses it", PEER, MOVE + 1, MOVE + 185, "former", False, "newer"),
        ("the former one worked", PEER, MOVE + 190, MOVE + 200, "former", False, "former"),
        ("it works for hours", PEER, MOVE + 5000, MOVE + 5010, "former", False, "former"),
        ("another try", PEER, MOVE + 900 + 20, MOVE + 900 + 30, "former", False, "newer"),
        ("no try between", PEER, MOVE + 900 + FIRST, MOVE + 900 + FIRST + 9, "former", False, "former"),
        ("long dead, one slot", PEER, 0, EVEN, "former", True, "newer"),
        ("long dead, the other", PEER, 0, EVEN + SLOT, "newer", True, "former"),
        ("long dead, nobody asks", PEER, 0, EVEN + SLOT, "former", False, "newer"),
        ("somebody's own key", PEER, MOVE + 5000, MOVE + 5010, "other", False, "newer"),
        ("the clock was set back", PEER, MOVE + 900, MOVE + 300, "former", False, "newer"),
        ("a phone that lives", BY_HAND, MOVE + 1, MOVE + 10, "former", False, "former"),
        ("a phone that sleeps", BY_HAND, MOVE + 1, MOVE + 9000, "former", False, "former"),
        ("a phone that has the newer one now", BY_HAND, MOVE + 1, MOVE + 200, "former", True, "former"),
        ("held over, a session from before", HELD, MOVE - 1, MOVE + 1, "former", False, "newer"),
        ("held over, it died", HELD, MOVE - 1, MOVE + 185, "newer", True, "former"),
        ("held over, the former one worked", HELD, MOVE + 190, MOVE + 200, "former", False, "former"),
        ("held over, and nobody asks", HELD, 0, MOVE + 1, "former", False, "newer"),
        ("a phone, one slot later", BY_HAND, MOVE + 1, EVEN + 2 * SLOT, "former", True, "newer"),
    ],
)
def test_the_key_of_a_pair(
    what: str, peer: DesiredPeer, handshake: float, moment: float, present: str, asked: bool, expected: str
) -> None:
    assert chosen(peer, handshake=handshake, moment=moment, present=present, asked=asked) == expected, what


LOOKS = st.lists(st.floats(1, 70), min_size=40, max_size=40).map(
    lambda gaps: [MOVE - 150 + sum(gaps[:count]) for count in range(len(gaps))]
)


@given(st.floats(0, 119), LOOKS, LOOKS)
def test_two_nodes_that_both_know_never_lose_a_session(phase: float, here: list[float], there: list[float]) -> None:
    """Each end looks at least every 70 s, whenever it likes; sessions are renewed each 120 s while keys agree."""
    looks = sorted(
        [(moment, 0) for moment in here if moment < there[-1]] + [(moment, 1) for moment in there if moment < here[-1]]
    )
    handshake = MOVE - 150 - phase
    present = ["former", "former"]
    for moment, end in looks:
        while moment >= handshake + 120:
            assert present[0] == present[1], f"{moment - MOVE:.0f} s after the move"
            handshake += 120
        present[end] = chosen(PEER, handshake=handshake, moment=moment, present=present[end])


@given(st.floats(0, 60), st.floats(200, 100_000))
def test_who_has_the_former_key_only_is_met_within_two_slots(phase: float, after: float) -> None:
    """This end looks each minute; the other one tries each 5 s."""
    looks = [MOVE + after + phase + 60 * n for n in range(5)]
    first = next(
        moment for moment in looks if chosen(PEER, handshake=0, moment=moment, present="newer", asked=True) == "former"
    )
    assert first - looks[0] < 2 * SLOT


def test_tries_become_rarer() -> None:
    assert TRIES[:4] == (0, 900, 1800, 3600)


# -- the whole interface


WANTED = Desired(
    mesh="m", name="a", public_key="A", listen_port=1, mtu=1, addresses=frozenset(), routes=frozenset(), peers=(PEER,)
)


def live(total: int, present: str = "newer") -> Live:
    return Live(peers={KEY: LivePeer(KEY, frozenset(), rx_bytes=total, preshared_key=present)})


@pytest.mark.parametrize(("total", "expected"), [(1000, "newer"), (1147, "newer"), (1148, "former")])
def test_a_dead_peer_is_asked_for_when_its_counters_grew_by_a_handshake(total: int, expected: str) -> None:
    (peer,) = settled(WANTED, live(total), {KEY: 1000}, EVEN + SLOT).peers
    assert (peer.preshared_key, peer.former_key) == (expected, None)


def test_without_a_look_before_nobody_was_asked_for() -> None:
    (peer,) = settled(WANTED, live(10_000), {}, EVEN + SLOT).peers
    assert peer.preshared_key == "newer"
    assert counters(live(7)) == {KEY: 7}


def test_settling_twice_is_settling_once() -> None:
    once = settled(WANTED, live(1148), {KEY: 1000}, EVEN + SLOT)
    assert settled(once, live(1148), {}, EVEN) == once


@pytest.mark.parametrize("moment", [EVEN, EVEN + SLOT])
def test_both_keys_of_a_peer_have_the_preshared_key_that_the_pair_uses(moment: float) -> None:
    """The one that stands by has no session and tries all the time, for which nothing is to be read out of it."""
    stands_by = "N" * 43 + "="
    desired = evolve(WANTED, peers=(evolve(PEER, next_public_key=stands_by),))
    session = LivePeer(KEY, frozenset(), handshake=int(moment) - 60, preshared_key="newer")
    tried = LivePeer(stands_by, frozenset(), tx_bytes=1480, preshared_key="newer")
    seen = Live(peers={KEY: session, stands_by: tried})
    found = placed(settled(desired, seen, {KEY: 0, stands_by: 0}, moment), seen, moment).peers
    assert {one.public_key: one.preshared_key for one in found} == {KEY: "newer", stands_by: "newer"}


def test_a_peer_that_has_changed_its_key_goes_on_with_what_it_used_under_it() -> None:
    new = "N" * 43 + "="
    desired = evolve(WANTED, peers=(evolve(PEER, next_public_key=new),))
    before = LivePeer(KEY, frozenset(), handshake=int(EVEN) - 400, preshared_key="newer", tx_bytes=1480)
    since = LivePeer(new, frozenset(), handshake=int(EVEN) - 60, preshared_key="former")
    seen = Live(peers={KEY: before, new: since})
    [found] = settled(desired, seen, {KEY: 0, new: 0}, EVEN).peers
    assert found.preshared_key == "former"


def test_either_key_is_no_drift_and_a_third_one_is() -> None:
    assert having_either(WANTED, live(0, "newer")) == {KEY}
    assert having_either(WANTED, live(0, "former")) == {KEY}
    assert not having_either(WANTED, live(0, "other"))
    assert not having_either(WANTED, None)


# -- a key that the list no longer names


ONLY = evolve(WANTED, peers=(ALONE,))
STEP = evolve(WANTED, peers=(evolve(ALONE, preshared_key="former"),))


def holds(desired: Desired, before: Desired | None, moment: float, *by_hand: str) -> DesiredPeer:
    held = held_over(desired, before, by_hand, moment)
    [peer] = held.peers
    assert held.valid_until == peer.held_until
    return peer


def test_a_secret_that_is_retired_before_the_move_is_held_over_and_pairs_move_as_was_announced() -> None:
    held = holds(ONLY, WANTED, MOVE - 100)
    assert held == evolve(PEER, held_until=MOVE + MOVING)
    again = evolve(ONLY, peers=(held,))
    assert holds(ONLY, again, MOVE + 100) == held
    assert holds(ONLY, again, MOVE + MOVING) == ALONE


def test_one_that_is_retired_while_pairs_move_is_left_at_once_and_gone_back_to() -> None:
    assert holds(ONLY, WANTED, MOVE + 100) == evolve(BY_HAND, held_until=MOVE + 100 + MOVING)
    assert holds(ONLY, WANTED, MOVE + MOVING) == ALONE


def test_the_key_of_a_peer_that_was_renamed_by_hand_is_held_over() -> None:
    renamed = evolve(ONLY, peers=(evolve(ALONE, name="new"),))
    assert holds(renamed, STEP, MOVE) == evolve(HELD, name="new")
    stranger = evolve(ONLY, peers=(evolve(ALONE, public_key="another"),))
    assert holds(stranger, STEP, MOVE).held_until is None


def test_a_key_that_changes_in_one_step_is_held_over_once() -> None:
    held = holds(ONLY, STEP, MOVE)
    assert held == HELD
    again = evolve(ONLY, peers=(held,))
    assert holds(ONLY, again, MOVE + 200) == HELD
    assert holds(ONLY, again, MOVE + MOVING) == ALONE
    third = evolve(ONLY, peers=(evolve(ALONE, preshared_key="third"),))
    assert holds(third, again, MOVE + 9).former_key == "newer"


def test_what_a_clock_that_was_ahead_held_over_is_kept_no_longer_than_its_time() -> None:
    ahead = held_over(ONLY, STEP, (), MOVE + 1e9)
    assert ahead.is_due(MOVE), "it is derived again"
    assert not ahead.is_due(MOVE + 1e9)
    [peer] = held_over(ONLY, ahead, (), MOVE).peers
    assert (peer.former_key, peer.held_until) == ("former", MOVE + MOVING)
    announced = holds(ONLY, WANTED, MOVE - 100)
    assert holds(ONLY, evolve(ONLY, peers=(announced,)), MOVE - 5000) == announced, "the list's own moment stays"


def test_nothing_is_held_over_where_there_is_no_session_to_keep_or_the_list_says_it() -> None:
    assert holds(ONLY, None, MOVE) == ALONE
    assert holds(ONLY, ONLY, MOVE) == ALONE
    assert holds(ONLY, STEP, MOVE, "b") == ALONE, "a phone"
    assert holds(ONLY, evolve(WANTED, peers=(BY_HAND,)), MOVE) == ALONE, "another one"
    assert holds(evolve(ONLY, peers=(evolve(ALONE, public_key="C"),)), STEP, MOVE).former_key is None
    assert held_over(WANTED, STEP, (), MOVE) == WANTED
    assert held_over(evolve(ONLY, valid_until=MOVE + 1), STEP, (), MOVE).valid_until == MOVE + 1


@given(st.floats(0, 119), st.floats(0, 60), LOOKS, LOOKS)
def test_a_change_in_one_step_that_the_other_end_pulls_within_a_minute_costs_no_session(
    phase: float, later: float, here: list[float], there: list[float]
) -> None:
    """The renewal that falls in between is tried again each 5 s; the session lives 60 s longer."""
    pulled = (MOVE, MOVE + later)
    looks = [(moment, 0) for moment in here] + [(moment, 1) for moment in there]
    handshake, present = MOVE - phase, ["former", "former"]
    for moment, end in sorted((max(moment, pulled[end]), end) for moment, end in looks):
        while moment >= handshake + 120 and (present[0] == present[1] or moment >= handshake + 180):
            assert present[0] == present[1], f"{moment - MOVE:.0f} s after the change"
            handshake += 120
        if moment < MOVE + MOVING:
            held = evolve(HELD, held_until=pulled[end] + MOVING)
            present[end] = chosen(held, handshake=handshake, moment=moment, present=present[end])
