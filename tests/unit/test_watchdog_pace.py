"""When the watchdog does what is periodic, and when it looks again: on a clock that nobody sets."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from mesh_watchdog import jobs
from mesh_watchdog.policy import polling
from mesh_watchdog.policy.actions import SetEndpoint
from mesh_watchdog.policy.endpoint_search import attempt
from mesh_watchdog.policy.observations import Seen
from mesh_watchdog.policy.peer import SEARCHING
from mesh_watchdog.policy.state import State
from unit.believed import ALIVE, KEY, peer

# -- schedule on a steady clock


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def wall(monkeypatch: pytest.MonkeyPatch, year: int) -> None:
    """Let every datetime.now() in `schedule` say that it is that year."""

    class Stepped(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Stepped:
            return cls(year, 1, 1, tzinfo=tz)

    monkeypatch.setattr("schedule.datetime.datetime", Stepped)


@pytest.mark.parametrize("steps", [(1970, 2026), (2026, 1970), (2026, 2025, 2027)])
def test_a_step_of_the_wall_clock_neither_stalls_nor_floods(
    monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...]
) -> None:
    clock, runs = Clock(), list[float]()
    wall(monkeypatch, steps[0])
    scheduler = jobs.SteadyScheduler(clock)
    scheduler.every(10).seconds.do(lambda: runs.append(clock.now))
    for year in steps:
        wall(monkeypatch, year)
        for _ in range(20):
            clock.now += 1
            scheduler.run_pending()
            scheduler.run_pending()
    assert runs == [1000.0 + 10 * count for count in range(1, 2 * len(steps) + 1)]


def test_after_a_long_pause_a_job_runs_once() -> None:
    clock, runs = Clock(), list[float]()
    scheduler = jobs.SteadyScheduler(clock)
    scheduler.every(10).seconds.do(lambda: runs.append(clock.now))
    clock.now += 3600
    for _ in range(5):
        scheduler.run_pending()
    assert runs == [4600.0]


def test_a_job_that_raises_is_logged_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    clock, runs = Clock(), list[float]()

    def job() -> None:
        runs.append(clock.now)
        raise RuntimeError("broken")

    scheduler = jobs.SteadyScheduler(clock)
    scheduler.every(10).seconds.do(job)
    for _ in range(25):
        clock.now += 1
        scheduler.run_pending()
    assert runs == [1010.0, 1020.0]
    assert "broken" in caplog.text


# -- pace


@pytest.mark.parametrize(
    ("changes", "flowing", "seconds"),
    [
        ({}, False, 5.0),
        ({}, True, 1.0),
        ({"wanted": 999.0}, False, 1.0),
        ({"asked": 999.0, "probed": 999.0}, False, 5.0),
        ({"asked": 999.0, "probed": 999.0, "quick": True}, False, 1.0),
        ({"phase": "new", "since": 999.0}, False, 1.0),
        ({"phase": SEARCHING}, False, 1.0),
        ({"phase": SEARCHING, "tries": (("203.0.113.77:1", "dns"),), "next_try": 1000.05}, False, 0.1),
        ({"phase": SEARCHING, "heard": 0.0, "next_round": 1300.0}, False, 5.0),
        ({"phase": SEARCHING, "heard": 0.0, "next_round": 1002.5}, False, 2.5),
        ({"phase": "missing"}, False, 5.0),
    ],
)
def test_the_interface_is_read_often_only_while_something_happens(
    changes: dict[str, Any], flowing: bool, seconds: float
) -> None:
    state = State(peers={KEY: peer(**changes)}, interface=True, flowed=999.0 if flowing else 0.0)
    assert polling.next_poll(state, 1000.0, idle=5.0) == pytest.approx(seconds)


def test_a_peer_that_has_spent_its_writes_is_no_reason_to_read_the_interface_all_the_time() -> None:
    tries = (("203.0.113.77:1", "dns"), ("203.0.113.78:1", "dns"))
    spent = peer(phase=SEARCHING, asked=900.0, heard=900.0, tries=tries, next_round=1300.0, allowance=0.4, wrote=1000.0)
    after, done = attempt(KEY, spent, State(), 1000.0)
    assert not done
    assert polling.next_poll(State(peers={KEY: after}, interface=True), 1000.0, idle=15.0) == pytest.approx(9.0)
    _, done = attempt(KEY, after, State(), 1009.0)
    assert SetEndpoint(KEY, "203.0.113.77:1", "dns") in done


def test_keepalives_and_probes_are_no_traffic() -> None:
    idle = Seen(ALIVE.endpoint, ALIVE.handshake, ALIVE.rx + 96 + 92 + 32, ALIVE.tx + 64 + 148 + 32)
    busy = Seen(ALIVE.endpoint, ALIVE.handshake, ALIVE.rx + 640, ALIVE.tx + 640)
    assert not polling.is_flowing({KEY: ALIVE}, {KEY: idle})
    assert polling.is_flowing({KEY: ALIVE}, {KEY: busy})
