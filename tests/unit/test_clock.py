"""Whatever the clock said before, a clock that is right brings the right members; one that is wrong lets no peer in
that is surely out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.check.examine import examine
from mesh_sync.diagnose.clock import clock_troubles
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from mesh_sync.node import clock as clocks
from mesh_sync.node.clock import Clock, Moment, Seen, trusted, what_time
from mesh_sync.node.state import Applied, State
from mesh_sync.reconcile.promise import worked_out
from mesh_sync.system import kernel_clock
from mesh_sync.wireguard import keys
from unit.believed import applied_node


def day(text: str) -> float:
    return datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp()


def peer(number: int, expires: str = "") -> bytes:
    line = f"expires = {expires}\n" if expires else ""
    key = keys.public_key(keys.generate())
    return f'public_key = "{key}"\naddresses = ["10.0.0.{number}"]\n{line}'.encode()


COMMIT, NOW, PAST, FUTURE = map(day, ("2026-11-01", "2026-11-25", "2020-01-01", "2040-01-01"))
MESH, _ = examine(
    Tree({
        "mesh.toml": b'format = 1\nname = "lab"\nnetworks = ["10.0.0.0/24"]\n',
        "peers/a.toml": peer(1),
        "peers/b.toml": peer(2, "2025-12-31"),
        "peers/c.toml": peer(3, "2026-11-09"),
        "peers/d.toml": peer(4, "2029-12-31"),
        "peers/e.toml": peer(5),
    }),
    datetime.fromtimestamp(NOW, UTC),
)  # fmt: skip


def derived(state: State, moment: Moment, *, copy: bool = True) -> State:
    """What `verdict.stay` makes of a state that is due; ``copy``: whether the list can be read."""
    assert MESH
    desired = state.applied.desired
    if desired is None or copy:
        desired = Renderer(MESH, moment.date).desired("a")
    else:
        desired = desired.without_expired(moment.at)
    return worked_out(evolve(state, applied=evolve(state.applied, desired=desired)), moment, COMMIT)


@frozen
class Pass:
    """One run: what the clock says, whether it is known to be right, whether the list can be read."""

    wall: float
    right: bool
    copy: bool


PASSES = st.builds(
    Pass, st.floats(0, day("2100-01-01")) | st.sampled_from((PAST, NOW, FUTURE)), st.booleans(), st.booleans()
)


def lived(passes: list[Pass]) -> State:
    state = State()
    for each in passes:
        floor = state.applied.known_at or 0.0
        clock = Clock(each.wall, each.wall if each.right else None, floor)
        moment = clock.counts(COMMIT)
        if state.applied.desired is None or state.applied.desired.is_due(moment.at):
            state = derived(state, moment, copy=each.copy)
    return state


def members(state: State) -> str:
    return "".join(each.name for each in state.applied.desired.peers) if state.applied.desired else ""


@given(st.lists(PASSES, max_size=8))
def test_after_any_clocks_a_right_one_brings_the_right_members(passes: list[Pass]) -> None:
    assert members(lived([*passes, Pass(NOW, True, True)])) == "de"


@given(st.lists(PASSES, max_size=8))
def test_who_had_expired_when_the_commit_was_made_is_never_let_in(passes: list[Pass]) -> None:
    state = lived(passes)
    assert "b" not in members(state)


@given(st.lists(PASSES.filter(lambda each: not each.right), max_size=8))
def test_a_clock_that_nothing_keeps_right_moves_nobody(passes: list[Pass]) -> None:
    state = lived([Pass(NOW, True, True), *passes])
    assert members(state) == "de", "the floor is the moment at which this was worked out"


@pytest.mark.parametrize(
    ("wall", "since_boot", "right", "seen", "found"),
    [
        (PAST, 50.0, True, None, PAST),
        (PAST, 50.0, False, None, None),
        (PAST, 50.0, False, Seen("boot", NOW, 20.0), NOW + 30),
        (FUTURE, 50.0, False, Seen("boot", NOW, 20.0), NOW + 30),
        (PAST, 50.0, False, Seen("another boot", NOW, 20.0), None),
        (PAST, 50.0, False, Seen("boot", NOW, 60.0), None),
    ],
)
def test_what_time_it_is(wall: float, since_boot: float, right: bool, seen: Seen | None, found: float | None) -> None:
    assert what_time(wall, since_boot, "boot", seen, right=right) == found


def test_the_date_of_the_applied_commit_is_the_earliest_it_can_be() -> None:
    assert trusted(PAST).counts(COMMIT) == Moment(COMMIT, sure=False)
    assert trusted(NOW).counts(COMMIT) == Moment(NOW, sure=True)
    assert trusted(COMMIT - 60).counts(COMMIT) == Moment(COMMIT, sure=True), "dates are not exact"
    assert Clock(FUTURE).counts(COMMIT) == Moment(COMMIT, sure=False)
    assert Clock(PAST, floor=NOW).counts(COMMIT) == Moment(NOW, sure=False)


def test_a_signers_key_that_has_just_begun_needs_no_clock_that_is_kept_right() -> None:
    assert Clock(NOW, floor=COMMIT).latest(COMMIT).at == NOW
    assert Clock(PAST, floor=COMMIT).latest(COMMIT).at == COMMIT
    assert Clock(FUTURE, NOW).latest(COMMIT).at == NOW


@pytest.mark.parametrize(
    ("clock", "codes"),
    [
        (trusted(NOW), []),
        (Clock(NOW, floor=NOW), []),
        (Clock(day("2030-01-02"), floor=NOW), ["clock-unsure"]),
        (Clock(day("2029-12-28"), floor=NOW), ["clock-unsure"]),
        (Clock(PAST, floor=NOW), ["clock-unsure"]),
        (trusted(PAST), ["clock-behind"]),
    ],
    ids=["right", "not known, and nothing ends", "may have ended", "ends soon", "behind", "before the commit"],
)
def test_what_is_uncertain_is_said(clock: Clock, codes: list[str]) -> None:
    state = lived([Pass(NOW, True, True)])
    found = list(clock_troubles(state.applied, clock))
    assert [each.code for each in found] == codes
    assert all("d (expires 2030-01-01 00:00 UTC)" in each.text for each in found if each.code == "clock-unsure")
    assert not any(name in each.text for each in found for name in ("b (", "e ("))


def test_what_a_right_clock_says_is_noted_once_a_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node, right = applied_node(tmp_path), True
    monkeypatch.setattr(kernel_clock, "is_synchronised", lambda: right)
    assert clocks.read(node, Applied()).known
    assert not node.clock_file.exists(), "`status` writes nothing"
    first = clocks.read(node, Applied(), keep=True)
    noted = node.clock_file.stat().st_ino
    assert json.loads(node.clock_file.read_bytes())["wall"] == first.wall
    clocks.read(node, Applied(), keep=True)
    assert node.clock_file.stat().st_ino == noted
    right = False
    known = clocks.read(node, Applied(), keep=True).known
    assert known is not None
    assert 0 <= known - first.wall < 60
    node.clock_file.write_text("{")
    assert clocks.read(node, Applied(), keep=True).known is None
    assert clocks.read(evolve(node, clock="trusted"), Applied()).known


def test_a_note_of_a_clock_that_was_wrong_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = applied_node(tmp_path)
    monkeypatch.setattr(kernel_clock, "is_synchronised", lambda: True)
    node.clock_file.parent.mkdir(exist_ok=True)
    wrong = {"boot": kernel_clock.boot_id(), "wall": FUTURE, "since_boot": kernel_clock.since_boot()}
    node.clock_file.write_text(json.dumps(wrong))
    found = clocks.read(node, Applied(), keep=True)
    assert json.loads(node.clock_file.read_bytes())["wall"] == found.wall == found.known


def test_a_mesh_without_dates_has_nothing_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = applied_node(tmp_path)
    monkeypatch.setattr(kernel_clock, "is_synchronised", lambda: True)
    desired = lived([Pass(NOW, True, True)]).applied.desired
    assert desired
    clocks.read(node, Applied(desired=evolve(desired, valid_from=None, valid_until=None)), keep=True)
    assert not node.clock_file.exists()


def test_the_kernel_says_whether_its_clock_is_kept_right() -> None:
    assert kernel_clock.is_synchronised() in (True, False)
    assert kernel_clock.since_boot() > 0
