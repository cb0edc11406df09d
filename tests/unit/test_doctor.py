"""The checks of `mesh-sync doctor` run at once, each within its time; one that fails keeps no other from being told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.diagnose import other_tools
from mesh_sync.diagnose.check import Check, Seen, Subject
from mesh_sync.diagnose.other_tools import _networkd, _wg_quick
from mesh_sync.diagnose.own_files import private_key
from mesh_sync.diagnose.trouble import WARNING, Trouble
from mesh_sync.errors import DeviceError
from mesh_sync.node import state as states
from mesh_sync.node.clock import trusted
from mesh_sync.node.state import State
from mesh_sync.reconcile.doctor import checks, clock, examined, worst
from mesh_sync.wireguard import keys
from unit.believed import applied_node


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    node = applied_node(tmp_path)
    state = states.load(node.state_file)
    return Subject(node, state, state.applied.desired, None, trusted(1e9), is_root=True)


def seen(subject: Subject, *some: Check) -> dict[str, Seen]:
    return {report.name: report.seen for report in examined(some, subject)}


def fails(_: Subject) -> Seen:
    raise DeviceError("wg says no", hint="look")


def breaks(_: Subject) -> Seen:
    raise ValueError("\x1b[2J")


def test_one_that_fails_or_has_a_defect_is_told_and_keeps_no_other_back(subject: Subject) -> None:
    found = seen(subject, Check("a", fails), Check("b", breaks), Check("c", lambda _: Seen(("fine",))))
    assert found["a"].troubles == (Trouble("failed", "wg says no", "look"),)
    assert found["b"].troubles[0].code == "defect"
    assert "\x1b" not in found["b"].troubles[0].text
    assert found["c"] == Seen(("fine",))


def test_one_that_does_not_end_is_told_at_its_deadline_and_they_are_told_as_they_end(subject: Subject) -> None:
    def slow(_: Subject) -> Seen:
        time.sleep(60)
        return Seen()

    began = time.monotonic()
    found = seen(subject, Check("slow", slow, 0.3), Check("quick", lambda _: Seen()))
    assert time.monotonic() - began < 30
    assert list(found) == ["quick", "slow"]
    assert found["slow"].troubles[0].code == "deadline"
    [late] = examined([Check("slow", slow, 1000.0)], subject, overall=0.1)
    assert late.seen.result == "error"


def test_what_it_cannot_look_at_is_skipped_and_says_why(subject: Subject) -> None:
    check = Check("a", fails)
    assert seen(evolve(subject, is_root=False), check)["a"].skipped == "only root can check this"
    assert seen(evolve(subject, desired=None), check)["a"].skipped == "nothing is applied yet: mesh-sync now"
    assert seen(evolve(subject, desired=None), evolve(check, needs=frozenset()))["a"].troubles


def test_the_worst_of_all_counts(subject: Subject) -> None:
    warned, wrong = Seen(troubles=(Trouble("a", "b", "", WARNING),)), Seen(troubles=(Trouble("a", "b"),))
    assert (warned.result, wrong.result, Seen(skipped="no").result, Seen().result) == (
        "warning",
        "error",
        "skipped",
        "ok",
    )
    reports = [*examined([Check("a", lambda _: warned), Check("b", lambda _: Seen())], subject)]
    assert worst(reports) == "warning"
    assert worst([*reports, *examined([Check("c", lambda _: wrong)], subject)]) == "error"


def test_each_check_has_a_name_of_its_own_and_a_deadline(subject: Subject) -> None:
    found = checks(subject.node)
    assert len({check.name for check in found}) == len(found)
    assert all(0 < check.deadline < 700 for check in found)


def test_a_key_that_is_not_the_lists_is_named(subject: Subject, tmp_path: Path) -> None:
    file = tmp_path / "private.key"
    here = evolve(subject, node=evolve(subject.node, private_key_file=file))
    assert [found.code for found in private_key(here).troubles] == ["key-unreadable"]
    keys.write_private_key(file)
    assert "key-other" in [found.code for found in private_key(here).troubles]
    file.chmod(0o640)
    [found] = (one for one in private_key(here).troubles if one.code == "key-open")
    assert found.fix.startswith(f"chmod 600 {file}")
    lost = evolve(here, state=State(lost=True))
    assert "state-lost" in [one.code for one in private_key(lost).troubles]


def test_a_clock_that_nothing_keeps_right_matters_where_peers_expire(subject: Subject) -> None:
    unknown = evolve(subject, clock=evolve(subject.clock, known=None))
    assert clock(unknown).troubles == ()
    assert subject.desired
    dated = evolve(unknown, desired=evolve(subject.desired, valid_until=4e9))
    assert [found.code for found in clock(dated).troubles] == ["clock-unsynchronised"]


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("[Match]\nName=wg0\n", True),
        ("[NetDev]\nName = wg0\nKind=wireguard\n", True),
        ("[Match]\nName=eth0 wg*\n", True),
        ("[Match]\nName=*\n", False),
        ("[Match]\nName=wg1\n", False),
        ("[Match]\nMACAddress=00:00:00:00:00:01\n", False),
    ],
)
def test_a_file_of_networkd_that_is_about_the_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, claims: bool
) -> None:
    monkeypatch.setattr(other_tools, "NETWORKD", (tmp_path,))
    (tmp_path / "1.network").write_text(text)
    assert bool(list(_networkd("wg0"))) == claims


def test_a_wg_quick_that_is_enabled_for_this_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_tools, "UNITS", tmp_path)
    wants = tmp_path / "multi-user.target.wants"
    wants.mkdir()
    (wants / "wg-quick@wg1.service").touch()
    assert list(_wg_quick("wg0")) == []
    (wants / "wg-quick@wg0.service").touch()
    assert [found.code for found in _wg_quick("wg0")] == ["wg-quick"]
