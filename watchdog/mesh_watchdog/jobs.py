"""Periodic work, declared with `schedule` and driven by the monotonic clock: a step of the wall clock moves nothing."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import schedule

from mesh_watchdog.journal import log

# Without a time zone, as `schedule` compares them.
_ORIGIN = datetime.datetime(2000, 1, 1)


class SteadyScheduler(schedule.Scheduler):
    """A scheduler of steady jobs. ``clock`` returns seconds that never step."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock

    def every(self, interval: int = 1) -> schedule.Job:
        return SteadyJob(interval, self)

    def moment(self) -> datetime.datetime:
        """The steady clock as `schedule` wants it."""
        return _ORIGIN + datetime.timedelta(seconds=self._clock())

    def pause(self) -> float:
        """Seconds until the next job is due; infinite when there is none."""
        due = self.next_run
        return float("inf") if due is None else max(0.0, (due - self.moment()).total_seconds())


class SteadyJob(schedule.Job):
    """A job whose next run lies on the steady clock. One that raises is logged and comes again in its turn.

    For intervals only: `at` and `until` are about the wall clock.
    """

    def __init__(self, interval: int, scheduler: SteadyScheduler) -> None:
        super().__init__(interval, scheduler)
        self._steady = scheduler

    def do(self, job_func: Callable[..., Any], *args: Any, **kwargs: Any) -> schedule.Job:
        super().do(job_func, *args, **kwargs)
        self._come_again()
        return self

    @property
    def should_run(self) -> bool:
        return self.next_run is not None and self._steady.moment() >= self.next_run

    def run(self) -> Any:
        try:
            base: Any = super()
            return base.run()
        except Exception:
            log.exception("a periodic job failed; it goes on")
            return None
        finally:
            self._come_again()

    def _come_again(self) -> None:
        assert self.unit is not None
        self.next_run = self._steady.moment() + datetime.timedelta(**{self.unit: self.interval})
