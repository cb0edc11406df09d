"""Who has to live again under a new commit, what clears it of blame, and what is remembered of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.errors import ConfigError
from mesh_sync.node import state as states
from mesh_sync.node.state import HISTORY, Bad, Past, Paused, State, Trial
from mesh_sync.reconcile.health_goal import Goal, goal, heard, missing, proof
from mesh_sync.reconcile.rollback import choose
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.live import LivePeer


def desired(own: str = "own", **keys: str) -> Desired:
    """The interface of a node with these peers, name by name."""
    peers = tuple(DesiredPeer(name, key, ("10.0.0.2",), frozenset({"10.0.0.2/32"})) for name, key in keys.items())
    return Desired("lab", "a", own, 51820, 1420, frozenset({"10.0.0.1/32"}), frozenset({"10.0.0.0/24"}), peers)


def trial(before: Desired | None, *alive: str, remote: bool = True) -> Trial:
    """A trial before which these peers answered."""
    names = {peer.public_key: peer.name for peer in before.peers} if before else {}
    return Trial("c2", "", 1.0, 1, State("c1", desired=before), alive={key: names[key] for key in alive}, remote=remote)


BEFORE = desired(b="B", c="C", d="D")
GOALS = {
    "all stay": (trial(BEFORE, "B", "C"), BEFORE, {"B", "C"}),
    "nobody was alive": (trial(BEFORE), BEFORE, set()),
    "nothing was there": (trial(None), BEFORE, set()),
    "one of two leaves": (trial(BEFORE, "B", "C"), desired(c="C"), {"C"}),
    "the only one leaves": (trial(BEFORE, "B"), desired(c="C", d="D"), set()),
    "one gets a new key": (trial(BEFORE, "B", "C"), desired(b="B2", c="C"), {"B2", "C"}),
    "the only one gets a new key": (trial(BEFORE, "B"), desired(b="B2", c="C"), set()),
    "both get new keys": (trial(BEFORE, "B", "C"), desired(b="B2", c="C2"), {"B2", "C2"}),
    "the node's own key": (trial(BEFORE, "B", "C"), desired("new", b="B", c="C"), set()),
}


@pytest.mark.parametrize(("record", "new", "peers"), GOALS.values(), ids=GOALS)
def test_who_has_to_answer_again(record: Trial, new: Desired, peers: set[str]) -> None:
    assert goal(record, new) == Goal(frozenset(peers), remote=True)
    assert not goal(evolve(record, remote=False), new).remote


def test_a_node_that_leaves_the_mesh_need_not_show_anything() -> None:
    assert goal(trial(BEFORE, "B"), desired()) == Goal()
    assert goal(trial(None), desired()) == Goal(remote=True)


def test_one_peer_is_enough_and_a_remote_is_needed_all_the_same() -> None:
    whole = Goal(frozenset("BC"), remote=True)
    assert whole.left(frozenset("B"), answered=False) == Goal(remote=True)
    assert whole.left(frozenset("X"), answered=True) == Goal(frozenset("BC"))
    assert not whole.left(frozenset("C"), answered=True)


def test_only_what_was_missed_can_put_the_blame_on_a_commit() -> None:
    record = trial(BEFORE, "B", "C")
    assert proof(Goal(remote=True), record) == Goal(remote=True)
    assert proof(Goal(frozenset({"B2", "C2"})), record) == Goal(frozenset("BC"))


def test_heard_is_who_sent_something_or_shook_hands() -> None:
    before = {key: LivePeer(key, frozenset(), handshake=5, rx_bytes=7) for key in "BCDE"}
    after = {**before, "B": evolve(before["B"], rx_bytes=8), "C": evolve(before["C"], handshake=4)}
    after |= {"D": evolve(before["D"], tx_bytes=9), "F": LivePeer("F", frozenset(), rx_bytes=1)}
    assert heard(before, after) == {"B", "C"}


def test_the_reason_is_a_sentence() -> None:
    assert missing(Goal(frozenset("B")), 30, "") == "no peer that was alive before answered within 30 s"
    both = "no peer that was alive before and no remote (u gives no answer) answered within 30 s"
    assert missing(Goal(frozenset("B"), remote=True), 30, "u gives no answer") == both


# -- what is remembered


def remembered(tmp_path: Path, state: State) -> State:
    states.save(tmp_path / "state.json", state)
    return states.load(tmp_path / "state.json")


def test_a_trial_and_all_that_goes_with_it_is_remembered(tmp_path: Path) -> None:
    found = evolve(trial(BEFORE, "B"), found=desired(x="X"), endpoints={"B": "192.0.2.1:1"})
    state = State("c2", desired=BEFORE, trial=found, bad=Bad("c0", "why"), paused=Paused(1.5, "because"))
    state = state.ending("confirmed", 2.5)
    assert remembered(tmp_path, state) == state


def test_a_state_from_before_there_were_trials_is_still_read(tmp_path: Path) -> None:
    states.save(tmp_path / "state.json", State("c1", desired=BEFORE, applied_at=1.0))
    data = json.loads((tmp_path / "state.json").read_text())
    for key in ("trial", "bad", "paused", "history"):
        del data[key]
    (tmp_path / "state.json").write_text(json.dumps(data))
    assert states.load(tmp_path / "state.json") == State("c1", desired=BEFORE, applied_at=1.0)


def test_home_is_where_an_open_trial_goes_back_to_with_what_was_learnt_since() -> None:
    state = State("c2", remote_commit="c2", desired=desired(x="X"), trial=trial(BEFORE), bad=Bad("c0", "why"))
    assert state.home == State("c1", remote_commit="c2", desired=BEFORE, bad=Bad("c0", "why"))
    assert state.home.home == state.home


def test_the_last_ten_applied_states_are_remembered() -> None:
    state = State("c")
    for number in range(HISTORY + 3):
        state = state.ending("confirmed", number, f"{number}")
    assert [past.commit for past in state.history] == [str(number) for number in range(3, HISTORY + 3)]


# -- rolling back: which commit is meant

ONE, TWO, THREE = "1234567" + "a" * 33, "1234567" + "b" * 33, "fedcba9" + "0" * 33
HISTORY_OF_THREE = (Past(ONE, 1.0, "confirmed"), Past(TWO, 2.0, "rolled-back"), Past(THREE, 3.0, "confirmed"))


def test_the_one_before_is_the_last_other_one_that_stayed() -> None:
    assert choose(State(THREE, history=HISTORY_OF_THREE), None) == ONE


def test_an_interrupted_trial_is_what_is_rolled_back() -> None:
    state = State(TWO, history=HISTORY_OF_THREE, trial=evolve(trial(BEFORE), previous=State(THREE)))
    assert choose(state, None) == THREE


def test_a_commit_may_be_cut_short() -> None:
    assert choose(State(THREE, history=HISTORY_OF_THREE), "fedcba9") == THREE
    assert choose(State(THREE, history=HISTORY_OF_THREE), TWO) == TWO


@pytest.mark.parametrize(
    ("commit", "message"),
    [
        ("1234567", "1234567 is the beginning of more than one applied state of this node"),
        ("7777777", "7777777 is not among the applied states of this node"),
        ("fedcba", "'fedcba' is not a commit: at least 7 digits of its hash"),
        ("HEAD~1", "'HEAD~1' is not a commit: at least 7 digits of its hash"),
        ("--force", "'--force' is not a commit: at least 7 digits of its hash"),
        ("\x1b[2J" + "1" * 300, "'\\x1b[2J1111"),
    ],
)
def test_a_commit_that_is_not_meant_by_these_digits(commit: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose(State(THREE, history=HISTORY_OF_THREE), commit)
    assert caught.value.message.startswith(message)
    assert len(caught.value.message) < 400


def test_without_an_earlier_state_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(ConfigError, match="there is no earlier applied state to go back to"):
        choose(State(THREE, history=HISTORY_OF_THREE[2:]), None)
