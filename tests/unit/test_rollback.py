"""`mesh-sync rollback`: which commit is meant."""

from __future__ import annotations

import pytest

from mesh_sync.errors import ConfigError
from mesh_sync.node.history import Past
from mesh_sync.node.state import Applied, State, Trial
from mesh_sync.reconcile.rollback import choose, peers_again
from mesh_sync.wireguard.desired import Desired, DesiredPeer

ONE, TWO, THREE = "1234567" + "a" * 33, "1234567" + "b" * 33, "fedcba9" + "0" * 33
HISTORY_OF_THREE = (Past(ONE, 1.0, "confirmed"), Past(TWO, 2.0, "rolled-back"), Past(THREE, 3.0, "confirmed"))


def test_the_one_before_is_the_last_other_one_that_stayed() -> None:
    assert choose(State(Applied(THREE), history=HISTORY_OF_THREE), None) == ONE


def test_an_interrupted_trial_is_what_is_rolled_back() -> None:
    state = State(Applied(TWO), history=HISTORY_OF_THREE, trial=Trial(TWO, "", 1.0, 1, Applied(THREE)))
    assert choose(state, None) == THREE


def test_a_commit_may_be_cut_short() -> None:
    assert choose(State(Applied(THREE), history=HISTORY_OF_THREE), "fedcba9") == THREE
    assert choose(State(Applied(THREE), history=HISTORY_OF_THREE), TWO) == TWO


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
        choose(State(Applied(THREE), history=HISTORY_OF_THREE), commit)
    assert caught.value.message.startswith(message)
    assert len(caught.value.message) < 400


def test_without_an_earlier_state_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(ConfigError, match="there is no earlier applied state to go back to"):
        choose(State(Applied(THREE), history=HISTORY_OF_THREE[2:]), None)


def desired(**keys: str) -> Desired:
    return Desired(
        mesh="lab", name="me", public_key="M", listen_port=51820, mtu=1420, addresses=frozenset(), routes=frozenset(),
        peers=tuple(DesiredPeer(name, key, (), frozenset()) for name, key in keys.items()),
    )  # fmt: skip


def test_who_is_a_peer_again_is_named() -> None:
    """One that was removed, and one whose key was changed, as after a theft."""
    before = Applied(THREE, desired=desired(home="H", aws="A2"))
    [said] = peers_again(before, desired(home="H", aws="A1", stolen="S"))
    assert said.startswith("peers again, with keys that fedcba9000 did not have: aws, stolen; until `mesh-sync resume`")
    assert peers_again(before, desired(home="H")) == ()
