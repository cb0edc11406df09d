"""Who has to live again under a new commit, and what clears it of blame."""

from __future__ import annotations

import pytest
from attrs import evolve

from mesh_sync.node.config import Repository
from mesh_sync.node.state import Applied, Trial
from mesh_sync.reconcile.health_goal import Goal, Patience, goal, heard, missing, patience, proof
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.live import LivePeer


def desired(own: str = "own", **keys: str) -> Desired:
    """The interface of a node with these peers, name by name."""
    peers = tuple(DesiredPeer(name, key, ("10.0.0.2",), frozenset({"10.0.0.2/32"})) for name, key in keys.items())
    return Desired("lab", "a", own, 51820, 1420, frozenset({"10.0.0.1/32"}), frozenset({"10.0.0.0/24"}), peers)


def trial(before: Desired | None, *alive: str, remote: bool = True) -> Trial:
    """A trial before which these peers answered."""
    names = {peer.public_key: peer.name for peer in before.peers} if before else {}
    return Trial(
        "c2", "", 1.0, 1, Applied("c1", desired=before), alive={key: names[key] for key in alive}, remote=remote
    )


def changing(whole: Desired, **next_keys: str) -> Desired:
    """The same, with peers that are about to change their keys."""
    peers = (evolve(peer, next_public_key=next_keys.get(peer.name, "")) for peer in whole.peers)
    return evolve(whole, peers=tuple(peers))


BEFORE = desired(b="B", c="C", d="D")
CHANGING = changing(BEFORE, b="B2")
GOALS = {
    "all stay": (trial(BEFORE, "B", "C"), BEFORE, {"B", "C"}),
    "nobody was alive": (trial(BEFORE), BEFORE, set()),
    "nothing was there": (trial(None), BEFORE, set()),
    "one of two leaves": (trial(BEFORE, "B", "C"), desired(c="C"), {"C"}),
    "the only one leaves": (trial(BEFORE, "B"), desired(c="C", d="D"), set()),
    "one gets a new key": (trial(BEFORE, "B", "C"), desired(b="B2", c="C"), {"B2", "C"}),
    "the only one gets a new key": (trial(BEFORE, "B"), desired(b="B2", c="C"), set()),
    "both get new keys": (trial(BEFORE, "B", "C"), desired(b="B2", c="C2"), {"B2", "C2"}),
    "one of them may change its key meanwhile": (trial(CHANGING, "B", "C"), CHANGING, {"B", "B2", "C"}),
    "it has changed it, and may go back": (trial(changing(desired(b="B2"), b="B"), "B2"), CHANGING, {"B", "B2"}),
    "the end of a change": (trial(CHANGING, "B", "C"), desired(b="B2", c="C"), {"B2", "C"}),
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
    assert proof(Goal(frozenset("B")), trial(CHANGING, "B")) == Goal(frozenset({"B", "B2"}))


def test_heard_is_who_sent_something_or_shook_hands() -> None:
    before = {key: LivePeer(key, frozenset(), handshake=5, rx_bytes=7) for key in "BCDE"}
    after = {**before, "B": evolve(before["B"], rx_bytes=8), "C": evolve(before["C"], handshake=4)}
    after |= {"D": evolve(before["D"], tx_bytes=9), "F": LivePeer("F", frozenset(), rx_bytes=1)}
    assert heard(before, after) == {"B", "C"}


def test_the_reason_is_a_sentence() -> None:
    peers, both = Goal(frozenset("B")), Goal(frozenset("B"), remote=True)
    assert missing(peers, Patience(30, 34), "") == "no peer that was alive before answered within 30 s"
    text = "no peer that was alive before and no remote (u gives no answer) answered within 30 s"
    assert missing(both, Patience(30, 30), "u gives no answer") == text
    assert missing(Goal(remote=True), Patience(30, 34), "") == "no remote answered within 34 s"


@pytest.mark.parametrize(
    ("took", "urls", "seconds"),
    [(None, 1, 30), (0.3, 1, 30), (14.9, 1, 30), (17.2, 1, 34), (9.0, 2, 36), (19.0, 3, 40)],
)
def test_a_remote_that_is_slow_is_waited_for_as_long_as_it_takes(took: float | None, urls: int, seconds: int) -> None:
    """The time is shared among all, so each gets twice what the answer took, or what it gets when asked for news."""
    asking = Repository(urls=tuple(map(str, range(urls))))
    assert patience(30, took, asking) == Patience(30, seconds)
    assert patience(60, took, asking) == Patience(60, 60)


def test_what_is_missing_has_had_its_own_time() -> None:
    both, waiting = Goal(frozenset("B"), remote=True), Patience(4, 34)
    assert not waiting.overdue(both, 3.9)
    assert waiting.overdue(both, 4) == Goal(frozenset("B"))
    assert waiting.overdue(Goal(remote=True), 33) == Goal()
    assert waiting.overdue(both, 34) == both
