"""What a node says of itself: what is read of it, whose word counts, and what a liar on the way can make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.fleet.ask import PAYLOAD
from mesh_sync.fleet.verify import FRESH, Doubt, Heard, Signature, heard
from mesh_sync.node import own_signature
from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.node.history import Past
from mesh_sync.node.last_run import LastRun
from mesh_sync.node.state import Applied, State, Trial
from mesh_sync.node.statement import (
    LARGEST,
    MOST_NAMED,
    NotDirect,
    Peers,
    Statement,
    joined,
    named,
    read,
    statement,
    written,
)
from mesh_sync.system.run import run
from mesh_sync.trust import signers, ssh_keys
from mesh_sync.trust.signers import Signer
from mesh_sync.wireguard.desired import Desired

MOMENT = 1_800_000_000.0
ONE, TWO = "1" * 40, "2" * 40
SAID = Statement(
    mesh="lab", node="a", commit=ONE, since=MOMENT - 60, version="0.1.0", result="refused", cause="untrusted",
    ran=MOMENT - 5, up=3, stale=1, relayed=2, new=4, nat="easy", moment=MOMENT,
)  # fmt: skip


class Keyed:
    """A node with a signing key, and its line in allowed_signers."""

    def __init__(self, place: Path, name: str) -> None:
        key = place / f"{name}.key"
        self.node = Node(
            name=name, signing_key_file=key, repository=Repository(urls=("git://x/y",)), trust=Trust(mode="none")
        )
        ssh_keys.make_key(key, name)
        self.line = self.lined()

    def lined(self, principal: str = "", options: str = "") -> Signer:
        words = [principal or f"{self.node.name}@node.lab", options, ssh_keys.public_half(self.node.signing_key_file)]
        [found] = signers.parse(" ".join(filter(None, words)).encode())[0].entries
        return found

    def sends(self, said: Statement = SAID) -> bytes:
        return joined(written(said), own_signature.signature(self.node, written(said)))


@pytest.fixture(scope="module")
def a(tmp_path_factory: pytest.TempPathFactory) -> Keyed:
    return Keyed(tmp_path_factory.mktemp("a"), "a")


@pytest.fixture(scope="module")
def b(tmp_path_factory: pytest.TempPathFactory) -> Keyed:
    return Keyed(tmp_path_factory.mktemp("b"), "b")


def unsigned(said: Statement = SAID) -> bytes:
    return joined(written(said), "")


# -- what it says


def test_it_says_what_was_confirmed_last_and_since_when() -> None:
    desired = Desired("lab", "a", "own", 1, 1420, frozenset(), frozenset(), ())
    confirmed = Applied(ONE, desired=desired, at=9.0)
    history = (Past(ONE, 5.0, "confirmed"), Past(TWO, 7.0, "rolled-back"))
    trial = Trial(TWO, "f", 8.0, 1, confirmed)
    state = State(evolve(confirmed, commit=TWO), trial=trial, history=history)
    found = statement(state, LastRun("in-sync", "", 8.0), Peers(up=1), "hard", "0.1.0", MOMENT)
    assert found == Statement(
        mesh="lab", node="a", commit=ONE, since=5.0, trial=TWO, version="0.1.0", result="in-sync", ran=8.0, up=1,
        nat="hard", moment=MOMENT,
    )  # fmt: skip
    assert statement(State(confirmed), LastRun(), Peers(), "", "0.1.0", 1.0) == Statement(
        mesh="lab", node="a", commit=ONE, since=9.0, version="0.1.0", moment=1.0
    )


def test_where_nothing_is_applied_it_says_nothing() -> None:
    assert statement(State(), LastRun(), Peers(), "", "0.1.0", MOMENT) is None


def test_what_is_written_is_read_back_and_more_keys_are_left_out() -> None:
    assert read(written(SAID).encode()) == SAID
    assert "\n" not in written(SAID)
    assert read(json.dumps({**json.loads(written(SAID)), "later": [1]}).encode()) == SAID
    later = {**json.loads(written(SAID)), "not_direct": [{"peer": "b", "since": 1, "relay": "", "later": [1]}]}
    assert read(json.dumps(later).encode()) == evolve(SAID, not_direct=(NotDirect(peer="b", since=1),))
    earlier = {key: value for key, value in json.loads(written(SAID)).items() if key not in ("not_direct", "new")}
    assert read(json.dumps(earlier).encode()) == evolve(SAID, new=0)


def test_of_a_thousand_peers_that_are_silent_so_many_are_named_that_one_packet_holds_the_answer(a: Keyed) -> None:
    silent = tuple(NotDirect(peer=f"gateway-{number}", since=int(MOMENT)) for number in range(1000))
    desired = Desired("lab", "a", "own", 1, 1420, frozenset(), frozenset(), ())
    many = Peers(up=1, stale=1000, not_direct=silent)
    applied = State(Applied(ONE, desired=desired, at=MOMENT), trial=Trial(TWO, "f", 8.0, 1, Applied(ONE)))
    found = statement(applied, LastRun("rolled-back", "not-listed", MOMENT), many, "easy", "0.1.0", MOMENT)
    assert found is not None
    assert 5 < len(found.not_direct) <= MOST_NAMED
    assert found.not_direct[0].peer == "gateway-0"
    assert not found.names_all
    assert len(a.sends(found)) < PAYLOAD - 100, "with room for the question"
    longest = tuple(NotDirect(peer="x" * 63, since=int(MOMENT), relay="y" * 63) for _ in range(9))
    assert 0 < len(named(longest)) < MOST_NAMED


HOSTILE: list[dict[str, Any]] = [
    {"node": "[red]a"}, {"node": "A"}, {"node": 1}, {"commit": "1" * 39}, {"commit": "\x1b[31m" + "1" * 35},
    {"commit": ONE + "\n"}, {"version": "\x1b[2J"}, {"version": "1" * 41}, {"version": ""}, {"result": "a\u202eb"},
    {"result": "x" * 21}, {"nat": "<b>"}, {"cause": "\n"}, {"up": -1}, {"up": 10**9}, {"up": True}, {"up": 1.5},
    {"moment": 1e300}, {"moment": "now"}, {"moment": None}, {"since": float("nan")}, {"ran": float("inf")},
    {"mesh": "x" * 300}, {"trial": 7}, {"not_direct": {}}, {"not_direct": [{"peer": "<b>", "since": 1}]},
    {"not_direct": [{"peer": "b", "since": -1}]}, {"not_direct": [{"peer": "b", "since": 1, "relay": "\n"}]},
    {"not_direct": [{"peer": "b", "since": 1}] * 65}, {"not_direct": [7]},
]  # fmt: skip


@pytest.mark.parametrize("wrong", HOSTILE, ids=lambda wrong: str(wrong)[:40].encode("unicode_escape").decode())
def test_nothing_else_is_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read(json.dumps({**json.loads(written(SAID)), **wrong}).encode())


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"null", b"{}", b"\xff", b"[" * 4000, b'{"moment":' + b"9" * 4500 + b"}"],
    ids=lambda one: one[:9],
)
def test_noise_is_no_statement(line: bytes, a: Keyed) -> None:
    assert heard("a", line, "lab", [], MOMENT) == Heard("a", doubt=Doubt.UNREADABLE)


@given(st.binary(max_size=200))
def test_no_bytes_raise(sent: bytes) -> None:
    assert heard("a", sent, "lab", [], MOMENT).doubt


def test_what_is_too_large_is_not_read() -> None:
    padded = json.dumps({**json.loads(written(SAID)), "more": "x" * LARGEST})
    assert heard("a", joined(padded, ""), "lab", [], MOMENT).doubt is Doubt.UNREADABLE


# -- whose word it is


def test_a_signed_statement_counts(a: Keyed) -> None:
    assert heard("a", a.sends(), "lab", [a.line], MOMENT) == Heard("a", SAID, Signature.SIGNED)
    old = a.lined(options='namespaces="git",valid-before="20200101Z"')
    assert heard("a", a.sends(), "lab", [old, a.line], MOMENT).signature is Signature.SIGNED


def test_silence_is_no_doubt(a: Keyed) -> None:
    assert heard("a", None, "lab", [a.line], MOMENT) == Heard("a")


def test_without_a_key_in_the_list_the_tunnel_alone_speaks_for_it(a: Keyed) -> None:
    assert heard("a", unsigned(), "lab", [], MOMENT) == Heard("a", SAID, Signature.UNSIGNED)
    assert heard("a", a.sends(), "lab", [], MOMENT) == Heard("a", SAID, Signature.UNLISTED)


def test_a_signature_that_was_cut_off_is_missed(a: Keyed) -> None:
    assert heard("a", unsigned(), "lab", [a.line], MOMENT).doubt is Doubt.UNSIGNED


def test_another_nodes_signed_words_do_not_count(a: Keyed, b: Keyed) -> None:
    """Neither as they are, nor under the other's name with the key of the one who repeats them."""
    of_b = evolve(SAID, node="b")
    assert heard("a", b.sends(of_b), "lab", [a.line], MOMENT).doubt is Doubt.MISNAMED
    assert heard("a", b.sends(), "lab", [a.line], MOMENT).doubt is Doubt.FORGED
    assert heard("a", a.sends(), "other", [a.line], MOMENT).doubt is Doubt.MISNAMED


def test_no_word_of_what_was_signed_can_be_changed(a: Keyed) -> None:
    line, _, signature = a.sends().partition(b"\n")
    applied = line.replace(ONE.encode(), TWO.encode())
    assert heard("a", applied + b"\n" + signature, "lab", [a.line], MOMENT).doubt is Doubt.FORGED
    spaced = line.replace(b",", b", ", 1)
    assert heard("a", spaced + b"\n" + signature, "lab", [a.line], MOMENT).doubt is Doubt.FORGED


@pytest.mark.parametrize("garbage", [b"x", b"AAAA", b"\xff", b"\n", b"=" * 1000])
def test_garbage_is_no_signature(a: Keyed, garbage: bytes) -> None:
    sent = written(SAID).encode() + b"\n" + garbage
    assert heard("a", sent, "lab", [a.line], MOMENT).doubt is Doubt.FORGED


def test_a_key_that_has_expired_vouches_for_nothing(a: Keyed) -> None:
    old = a.lined(options='valid-before="20200101Z"')
    assert heard("a", a.sends(), "lab", [old], MOMENT).doubt is Doubt.FORGED


def test_what_was_signed_as_a_commit_is_no_statement(a: Keyed) -> None:
    argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(a.node.signing_key_file)]
    armoured = run(argv, input=written(SAID)).splitlines()
    sent = joined(written(SAID), "".join(armoured[1:-1]))
    assert heard("a", sent, "lab", [a.line], MOMENT).doubt is Doubt.FORGED


@pytest.mark.parametrize("apart", [FRESH + 1, -FRESH - 1], ids=["before", "after"])
def test_words_of_another_time_do_not_count(a: Keyed, apart: float) -> None:
    assert heard("a", a.sends(), "lab", [a.line], MOMENT + apart).doubt is Doubt.OLD
    assert heard("a", a.sends(), "lab", [a.line], MOMENT + apart * 0.9).doubt is None


def test_a_node_without_a_key_does_not_sign(tmp_path: Path, a: Keyed) -> None:
    assert own_signature.signature(evolve(a.node, signing_key_file=tmp_path / "none"), "{}") == ""
