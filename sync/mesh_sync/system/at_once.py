"""Several pieces of work at once, each in a thread; an idle run of the timer has no time to import a pool."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any


def at_once(*works: Callable[[], Any]) -> list[Callable[[], Any]]:
    """Do all of them, and return for each a call that gives its result, or raises what it raised."""
    tasks = [_Task(work) for work in works]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    return [task.result for task in tasks]


class _Task(Thread):
    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work
        self._found: Any = None
        self._raised: BaseException | None = None

    def run(self) -> None:
        try:
            self._found = self._work()
        except BaseException as error:
            self._raised = error

    def result(self) -> Any:
        if self._raised:
            raise self._raised
        return self._found
