"""A state file of which a value is not what it should be is lost as a whole, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mesh_sync.node import state as states
from mesh_sync.node.state import State, Trial

PAST = {"commit": "c1", "applied_at": 1.0, "ended": "confirmed"}
REFUSAL: dict[str, Any] = {"commit": "c1", "message": "why", "findings": [], "settings": "", "trusted": None}


def loaded(tmp_path: Path, **changes: Any) -> State:
    """A state with an open trial, with these values instead of its own."""
    file = tmp_path / "state.json"
    states.save(file, State("c2", trial=Trial("c2", "", 1.0, 1, State("c1"))))
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return states.load(file)


DAMAGED = {
    "a pause since a word": {"paused": {"since": "x", "reason": ""}},
    "a pause since never": {"paused": {"since": float("nan")}},
    "a pause for a table": {"paused": {"since": 1.0, "reason": {}}},
    "a bad number": {"bad": {"commit": 3, "message": "", "settings": ""}},
    "a bad list": {"bad": ["c1", "why"]},
    "a past of a number": {"history": [{**PAST, "commit": 1}]},
    "a past at a word": {"history": [{**PAST, "applied_at": "x"}]},
    "a past beyond all calendars": {"history": [{**PAST, "applied_at": 1e30}]},
    "a past that ended as a number": {"history": [{**PAST, "ended": 2}]},
    "a refusal for a number": {"refusal": {**REFUSAL, "message": 4}},
    "a finding at a number": {
        "refusal": {**REFUSAL, "findings": [{"severity": "error", "file": 1, "key": "", "message": ""}]}
    },
    "a moment without end": {"applied_at": float("inf")},
    "an endpoint that is a number": {"given": {"key": 1}},
}


@pytest.mark.parametrize("changes", DAMAGED.values(), ids=DAMAGED)
def test_a_value_of_another_kind_loses_the_state(tmp_path: Path, changes: dict[str, Any]) -> None:
    found = loaded(tmp_path, **changes)
    assert found.lost
    assert found == State()


@pytest.mark.parametrize(
    ("name", "value"),
    [("began", "x"), ("attempt", None), ("commit", 1), ("remote", "yes"), ("alive", {"key": 1}), ("endpoints", [])],
)
def test_a_trial_with_a_value_of_another_kind_loses_the_state(tmp_path: Path, name: str, value: object) -> None:
    whole = loaded(tmp_path)
    assert whole.trial
    assert not whole.lost
    trial = json.loads((tmp_path / "state.json").read_text())["trial"]
    assert loaded(tmp_path, trial={**trial, name: value}).lost


def test_what_is_right_is_kept(tmp_path: Path) -> None:
    bad = {"commit": "c1", "message": "why", "settings": ""}
    found = loaded(tmp_path, history=[PAST], refusal=REFUSAL, bad=bad, paused={"since": 5, "reason": "x"})
    assert not found.lost
    assert found.history
    assert found.refusal
    assert found.bad
    assert found.paused
