"""How nodes stand to the newest commit, and what is shown of that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.cli.fleet import show
from mesh_sync.cli.main import main
from mesh_sync.fleet.compare import Fleet, Standing, compared, most_have, trusted_head
from mesh_sync.fleet.look import whom
from mesh_sync.fleet.verify import Doubt, Heard, Signature
from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.node.state import Anchor, Applied, Refusal, Remote, State
from mesh_sync.node.statement import Statement
from mesh_sync.wireguard.desired import Desired, DesiredPeer

OLD, NEW, OTHER = "1" * 40, "2" * 40, "3" * 40
SAID = Statement(mesh="lab", node="a", commit=NEW, since=900.0, version="0.1.0", result="in-sync", ran=995.0,
                 up=11, stale=1, relayed=2, new=3, nat="easy", moment=1000.0)  # fmt: skip


def at(name: str, commit: str | None, doubt: Doubt | None = None) -> Heard:
    return Heard(name, evolve(SAID, node=name, commit=commit), Signature.UNSIGNED, doubt)


def node(mode: str) -> Node:
    return Node(name="a", repository=Repository(urls=("x",)), trust=Trust(mode=mode))  # type: ignore[arg-type]


def remembered(applied: str, **remote: object) -> State:
    return State(Applied(applied), Remote(**remote))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "state", "newer", "head"),
    [
        ("signed", remembered(OLD, trusted=Anchor(NEW)), True, NEW),  # rolled back here
        ("signed", remembered(NEW, trusted=Anchor(OLD)), False, NEW),  # a node has signed above it
        ("signed", remembered(OLD, commit=NEW), False, OLD),  # the remote says so, and that is all
        ("none", remembered(OLD, commit=NEW), False, NEW),
        ("none", remembered(OLD, commit=NEW, refusals=(Refusal(NEW, "no"),)), False, OLD),
        ("none", remembered(OLD), False, OLD),
    ],
)
def test_what_this_node_would_apply(mode: str, state: State, newer: bool, head: str) -> None:
    assert trusted_head(state, node(mode), anchor_is_newer=newer) == head


def test_most_is_more_than_half_of_those_that_can_be_believed() -> None:
    assert most_have([at("a", NEW), at("b", NEW), at("c", OLD), Heard("d"), Heard("e"), Heard("f")]) == NEW
    assert most_have([at("a", NEW), at("b", OLD)]) is None
    lies = [at(name, OTHER, Doubt.FORGED) for name in "bcdef"]
    assert most_have([at("a", NEW), *lies]) == NEW
    assert most_have([]) is None


def fleet() -> Fleet:
    found = [
        at("e", NEW, Doubt.FORGED), at("a", NEW), at("b", OLD), Heard("c"), at("d", OTHER), at("f", None),
        Heard("g", doubt=Doubt.UNREADABLE),
    ]  # fmt: skip
    return compared("a", NEW, found, frozenset({OLD}))


def test_how_nodes_stand() -> None:
    standings = {row.name: row.standing for row in fleet().rows}
    assert standings == {
        "a": Standing.CURRENT, "b": Standing.LAGS, "c": Standing.SILENT, "d": Standing.AHEAD, "e": Standing.DOUBTED,
        "f": Standing.LAGS, "g": Standing.DOUBTED,
    }  # fmt: skip
    assert not fleet().is_current
    assert compared("a", NEW, [at("a", NEW), at("b", NEW)], frozenset()).is_current


def test_the_json_has_nothing_of_what_cannot_be_believed() -> None:
    found = fleet().as_json()
    assert (found["node"], found["newest"]) == ("a", NEW)
    assert found["counts"] == {"current": 1, "lags": 2, "ahead": 1, "silent": 1, "doubted": 2}
    rows = {row["name"]: row for row in found["nodes"]}
    assert rows["a"] == {
        "name": "a", "standing": "current", "doubt": None, "signature": "unsigned", "commit": NEW, "since": 900.0,
        "trial": None, "version": "0.1.0", "result": "in-sync", "cause": "", "ran": 995.0, "up": 11, "stale": 1,
        "relayed": 2, "new": 3, "nat": "easy", "moment": 1000.0, "not_direct": [],
    }  # fmt: skip
    assert (rows["e"]["doubt"], rows["e"]["signature"], rows["e"]["commit"]) == ("forged", "unsigned", None)
    assert (rows["c"]["standing"], rows["c"]["commit"]) == ("silent", None)
    assert json.loads(json.dumps(found)) == found
    assert {tuple(row) for row in rows.values()} == {tuple(rows["a"])}, "every node has every key"


def test_the_table_and_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    show(fleet(), 1000.0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split("\t") == [
        "a", NEW[:10], "100 s", "in-sync, 5.0 s ago", "11/1/2, 3 new", "easy", "unsigned", "0.1.0",
    ]  # fmt: skip
    assert lines[5].split("\t") == ["e", "doubted", *["-"] * 4, "unsigned", "-"]
    assert f"b, f: not at {NEW[:10]} yet" in lines
    assert "c: no answer: no tunnel, or no mesh-watchdog that serves names there" in lines
    assert "d: at a commit that this node has not got" in lines
    assert "e: has an answer that is not signed with its key in allowed_signers" in lines


def test_a_node_that_does_not_even_hear_itself_is_told_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    show(compared("a", NEW, [Heard("a"), Heard("b")], frozenset()), 1000.0)
    silent, hint = capsys.readouterr().out.splitlines()[-2:]
    assert silent.startswith("a, b: no answer")
    assert hint.startswith("a is this node: ")
    show(compared("b", NEW, [Heard("a"), at("b", NEW)], frozenset()), 1000.0)
    assert "this node" not in capsys.readouterr().out


def test_a_fleet_at_one_commit_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show(compared("a", NEW, [at("a", NEW), at("b", NEW)], frozenset()), 1000.0)
    assert capsys.readouterr().out.splitlines()[3:] == [f"2 nodes at {NEW[:10]}"]


def test_why_a_commit_was_refused_and_what_is_on_trial(capsys: pytest.CaptureFixture[str]) -> None:
    said = evolve(SAID, result="refused", cause="untrusted", trial=OTHER, since=None, ran=None, nat="")
    show(compared("a", NEW, [Heard("a", said, Signature.SIGNED)], frozenset()), 1000.0)
    lines = capsys.readouterr().out.splitlines()
    row = lines[1].split("\t")
    assert lines[-1] == "a: refused another commit; mesh-sync status there says why"
    assert row[1:4] == [f"{NEW[:10]} (on trial: {OTHER[:10]})", "-", "refused (untrusted)"]
    assert row[5] == "-"


def test_every_managed_peer_is_asked_and_this_node_too() -> None:
    def peer(name: str, *addresses: str, managed: bool = True) -> DesiredPeer:
        return DesiredPeer(name, name, addresses, frozenset(), managed=managed)

    peers = (peer("b", "fd00::2", "10.0.0.2"), peer("c", "FD00:0::3"), peer("phone", "10.0.0.9", managed=False))
    own = frozenset({"10.0.0.1/32", "fd00::1/128"})
    desired = Desired("lab", "a", "own", 1, 1420, own, frozenset(), peers)
    assert whom(desired) == {"b": "10.0.0.2", "c": "fd00::3", "a": "10.0.0.1"}


def test_without_a_node_toml_it_says_where_to_run_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fleet", "--config", str(tmp_path / "node.toml")])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "node.toml does not exist" in said
    assert "run it on a machine that has joined" in said
