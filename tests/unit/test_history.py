"""Which applied commits a node remembers, and where `mesh-sync rollback` goes from each of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.node.history import KEPT, History, Past, earlier, entered


def lived(*entries: str) -> History:
    """A history: `c1` was confirmed, `c1!` was rolled back."""
    history: History = ()
    for moment, entry in enumerate(entries):
        commit, bad = entry.removesuffix("!"), entry.endswith("!")
        history = entered(history, Past(commit, float(moment), "rolled-back" if bad else "confirmed"))
    return history


def told(history: History) -> list[str]:
    return [f"{past.commit} {past.ended}" for past in history]


def test_going_back_again_and_again_goes_back_step_by_step() -> None:
    history, here, way = lived("c1", "c2", "c3", "c4"), "c4", []
    while before := earlier(history, here):
        history, here = entered(history, Past(before, 9.0, "confirmed")), before
        way.append(here)
    assert way == ["c3", "c2", "c1"]
    assert told(history) == ["c4 left", "c3 left", "c2 left", "c1 confirmed"]


def test_after_going_on_the_way_back_is_the_one_that_was_gone() -> None:
    history = lived("c1", "c2", "c3", "c2", "c4")
    assert told(history) == ["c1 confirmed", "c3 left", "c2 confirmed", "c4 confirmed"]
    assert earlier(history, "c4") == "c2"
    assert earlier(entered(history, Past("c3", 9.0, "confirmed")), "c3") == "c4"


def test_what_was_rolled_back_is_no_step() -> None:
    assert earlier(lived("c1", "c2!", "c3"), "c3") == "c1"
    assert earlier(lived("c1!", "c2"), "c2") is None
    assert earlier((), None) is None


def test_a_commit_that_changed_nothing_here_is_at_the_last_step() -> None:
    assert earlier(lived("c1", "c2"), "words only") == "c1"


def test_what_did_not_stay_takes_no_place_from_what_did() -> None:
    stayed = [f"c{number}" for number in range(KEPT + 3)]
    history = lived(*stayed, *(f"bad{number}!" for number in range(50)))
    assert [past.commit for past in history if past.stayed] == stayed[-KEPT:]
    assert [past.commit for past in history if not past.stayed] == [f"bad{number}" for number in range(40, 50)]


@given(st.lists(st.sampled_from([f"c{number}{end}" for number in range(15) for end in ("", "!")]), max_size=60))
def test_it_is_bounded_in_order_and_knows_each_state_once(entries: list[str]) -> None:
    history = lived(*entries)
    stayed = [past.commit for past in history if past.stayed]
    assert len(history) <= 2 * KEPT
    assert len(stayed) == len(set(stayed)) <= KEPT
    assert sorted(history, key=lambda past: past.applied_at) == list(history)
    applied = [entry for entry in entries if not entry.endswith("!")]
    assert stayed[-1:] == applied[-1:]
