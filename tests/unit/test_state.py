"""What a node remembers: every value comes back, a damaged file is lost as a whole, and the last version's is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from mesh_sync.findings import Finding
from mesh_sync.node import state as states
from mesh_sync.node.history import Past
from mesh_sync.node.state import Anchor, Applied, BadCommit, Held, Intent, Pause, Refusal, Remote, State, Trial
from mesh_sync.wireguard.desired import Desired, DesiredPeer

WRITTEN_BY_0_1 = Path(__file__).parent / "data/state-0.1.json"
"""By mesh-sync 0.1's own code, with something in every place: a trial is open on a node that was paused before."""


def interface(**keys: str) -> Desired:
    peers = tuple(DesiredPeer(name, key, ("10.0.0.2",), frozenset({"10.0.0.2/32"})) for name, key in keys.items())
    return Desired("lab", "a", "own", 51820, 1420, frozenset({"10.0.0.1/32"}), frozenset({"10.0.0.0/24"}), peers)


PEER_B = interface(b="B")
BEFORE = Applied("c1", "f", PEER_B, PEER_B.owned, {"B": "b.example:1"}, {"B": "192.0.2.1:1"}, "d", 1.0)
REFUSED = Refusal("c3", "why", (Finding("peers/b.toml", "mtu", "no"),), "f", "c1", 8.0, "invalid")
FULL = State(
    applied=evolve(BEFORE, commit="c2", desired=interface(b="B", x="X"), hooks_due=True, dated=5.0, known_at=6.0),
    remote=Remote(
        "c3", 2.0, (REFUSED,), BadCommit("c0", "w"), Anchor("c2", "5e"), "r", "c4", 9.0, Held("c5", 8.0, 7.0)
    ),
    trial=Trial("c2", "f", 1.5, 1, BEFORE, Intent(Pause(1.0, "x")), interface(x="X"), {"B": "b"}, {"B": "192.0.2.1:1"}),
    intent=Intent(Pause(3.0, "because")),
    history=(Past("c1", 1.0, "confirmed"),),
)


def reloaded(folder: Path, state: State) -> State:
    """What another process reads of it."""
    states.save(folder / "state.json", state)
    states._last_known = b"", State()
    return states.load(folder / "state.json")


def test_default_routes_that_were_written_among_the_others_are_an_exits(tmp_path: Path) -> None:
    old = evolve(PEER_B, routes=frozenset({"10.0.0.0/24", "0.0.0.0/0", "::/0"}))
    applied = evolve(BEFORE, desired=old, owned=old.owned)
    trial = Trial("c2", "f", 1.5, 1, applied, found=old)
    states.save(tmp_path / "state.json", State(applied, trial=trial))
    data = json.loads((tmp_path / "state.json").read_text())
    for part in (data["applied"], data["trial"]["previous"]):
        del part["desired"]["exit_routes"], part["owned"]["exit_routes"]
    del data["trial"]["found"]["exit_routes"]
    (tmp_path / "state.json").write_text(json.dumps(data))
    found = states.load(tmp_path / "state.json")
    assert found.trial
    for state in (found.applied, found.trial.previous):
        assert state.desired
        for part in (state.desired, state.owned):
            assert part.routes == {"10.0.0.0/24"}
            assert part.exit_routes == {"0.0.0.0/0", "::/0"}
        assert state.desired.fwmark
    assert found.trial.found
    assert found.trial.found.exit_routes == {"0.0.0.0/0", "::/0"}


@pytest.mark.parametrize("state", [FULL, State(), State(BEFORE)], ids=["full", "empty", "applied"])
def test_every_value_comes_back(tmp_path: Path, state: State) -> None:
    assert reloaded(tmp_path, state) == state
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


def test_of_a_peer_only_what_is_not_as_usual_is_written(tmp_path: Path) -> None:
    """A version before wrote all of it: both are read."""
    assert reloaded(tmp_path, State(BEFORE)) == State(BEFORE)
    data = json.loads((tmp_path / "state.json").read_bytes())
    (peer,) = data["applied"]["desired"]["peers"]
    assert peer.keys() == {"name", "public_key", "addresses", "allowed_ips"}
    peer |= {"endpoint": [], "keepalive": 0, "preshared_key": "", "former_key": None, "managed": True}
    (tmp_path / "state.json").write_text(json.dumps(data))
    assert states.load(tmp_path / "state.json") == State(BEFORE)


def test_a_peer_with_everything_comes_back(tmp_path: Path) -> None:
    peer = DesiredPeer(
        "b", "B", ("10.0.0.2",), frozenset({"10.0.0.2/32"}), ("b.example:1",), 25, "k", "N", "", 1.0, 2.0, 3.0,
        managed=False, direct_only=True, original_name="was",
    )  # fmt: skip
    state = State(evolve(BEFORE, desired=evolve(PEER_B, peers=(peer,))))
    assert reloaded(tmp_path, state) == state


def test_a_missing_file_is_an_empty_state(tmp_path: Path) -> None:
    found = states.load(tmp_path / "state.json")
    assert (found, found.lost) == (State(), False)


def test_the_last_versions_file_is_carried_over(tmp_path: Path) -> None:
    old = json.loads(WRITTEN_BY_0_1.read_bytes())
    found = states.load(WRITTEN_BY_0_1)
    applied, remote, trial = found.applied, found.remote, found.trial
    assert trial
    assert not found.lost
    assert (applied.commit, applied.conf, applied.at, applied.hooks_due) == (
        old["commit"], old["conf"], old["applied_at"], True,
    )  # fmt: skip
    assert (applied.fingerprint, applied.given, applied.resolved) == (old["settings"], old["given"], old["resolved"])
    assert applied.desired
    assert [peer.name for peer in applied.desired.peers] == ["azure", "gcp"]
    assert applied.owned.peers == set(old["owned"]["peers"])
    assert (remote.commit, remote.silent_since, remote.trusted, remote.trust_root) == (
        old["remote_commit"], old["silent_since"], Anchor(old["trusted"]), old["trust_root"],
    )  # fmt: skip
    assert remote.refusal
    assert (remote.refusal.message, remote.refusal.fingerprint) == (old["refusal"]["message"], old["settings"])
    assert remote.refusal.findings == (Finding("peers/b.toml", "mtu", "is wrong"),)
    assert remote.bad
    assert remote.bad.commit == old["bad"]["commit"]
    assert (trial.began, trial.attempt, trial.alive) == (old["trial"]["began"], 1, old["trial"]["alive"])
    assert trial.previous.commit == old["trial"]["previous"]["commit"]
    assert (trial.intent.pause, found.intent.pause) == (Pause(1763990100.0, "maintenance"), None)
    assert [past.ended for past in found.history] == ["rolled-back", "confirmed"]
    assert reloaded(tmp_path, found) == found


@pytest.mark.parametrize("missing", [("trial", "bad", "paused", "history")])
def test_a_file_from_before_there_were_trials_is_read(tmp_path: Path, missing: tuple[str, ...]) -> None:
    old = json.loads(WRITTEN_BY_0_1.read_bytes())
    (tmp_path / "state.json").write_text(json.dumps({key: value for key, value in old.items() if key not in missing}))
    found = states.load(tmp_path / "state.json")
    assert (found.applied.commit, found.trial, found.intent, found.history) == (old["commit"], None, Intent(), ())


PAST = {"commit": "c1", "applied_at": 1.0, "ended": "confirmed"}
REFUSAL: dict[str, Any] = {"commit": "c1", "message": "why", "findings": [], "fingerprint": "", "trusted": None}
FINDING = {"severity": "error", "file": 1, "key": "", "message": ""}
DAMAGED: dict[str, tuple[tuple[str, ...], object]] = {
    "a pause since a word": (("intent", "pause"), {"since": "x", "reason": ""}),
    "a pause since never": (("intent", "pause"), {"since": float("nan"), "reason": ""}),
    "a pause for a table": (("intent", "pause"), {"since": 1.0, "reason": {}}),
    "a bad number": (("remote", "bad"), {"commit": 3, "message": "", "fingerprint": ""}),
    "a bad list": (("remote", "bad"), ["c1", "why"]),
    "a past of a number": (("history",), [{**PAST, "commit": 1}]),
    "a past at a word": (("history",), [{**PAST, "applied_at": "x"}]),
    "a past beyond all calendars": (("history",), [{**PAST, "applied_at": 1e30}]),
    "a past that ended as a number": (("history",), [{**PAST, "ended": 2}]),
    "a refusal for a number": (("remote", "refusals"), [{**REFUSAL, "message": 4}]),
    "a finding at a number": (("remote", "refusals"), [{**REFUSAL, "findings": [FINDING]}]),
    "a moment without end": (("applied", "at"), float("inf")),
    "an endpoint that is a number": (("applied", "given"), {"key": 1}),
    "an interface that is a number": (("applied", "desired"), 3),
    "a trial since a word": (("trial", "began"), "x"),
    "a trial without an attempt": (("trial", "attempt"), None),
    "a trial of a number": (("trial", "commit"), 1),
    "a remote that is a word": (("trial", "remote"), "yes"),
    "alive numbers": (("trial", "alive"), {"key": 1}),
    "a list of endpoints": (("trial", "endpoints"), []),
    "no applied state": (("applied",), None),
    "another version": (("version",), 3),
    "no version": (("version",), None),
}


@pytest.mark.parametrize(("place", "value"), DAMAGED.values(), ids=DAMAGED)
def test_a_value_of_another_kind_loses_the_state(tmp_path: Path, place: tuple[str, ...], value: object) -> None:
    assert not reloaded(tmp_path, FULL).lost
    data = json.loads((tmp_path / "state.json").read_bytes())
    table: dict[str, Any] = data
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    (tmp_path / "state.json").write_text(json.dumps(data))
    found = states.load(tmp_path / "state.json")
    assert (found, found.lost) == (State(), True)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 2}', '{"version": 1}', "[" * 100_000])
def test_a_broken_file_is_a_lost_state(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert states.load(tmp_path / "state.json").lost


def test_what_was_confirmed_last_is_what_an_open_trial_goes_back_to() -> None:
    assert (FULL.last_confirmed, FULL.confirmed_intent) == (BEFORE, Intent(Pause(1.0, "x")))
    assert (State(BEFORE).last_confirmed, State(BEFORE).confirmed_intent) == (BEFORE, Intent())


def test_a_state_is_parsed_only_when_another_process_has_written_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []

    def counted(content: bytes) -> Any:
        parsed.append(content)
        return json.loads(content)

    monkeypatch.setattr(states, "read_json", counted)
    file = tmp_path / "state.json"
    states.save(file, FULL)
    another = file.read_bytes()
    states.save(file, evolve(FULL, intent=Intent(), lost=True))
    assert [states.load(file) for _ in range(2)] == [evolve(FULL, intent=Intent())] * 2
    assert not states.load(file).lost
    assert not parsed
    file.write_bytes(another)
    assert [states.load(file) for _ in range(3)] == [FULL] * 3
    assert len(parsed) == 1
    file.write_bytes(file.read_bytes()[:-1])
    assert states.load(file).lost
    file.unlink()
    assert states.load(file) == State()
