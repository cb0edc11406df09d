"""Waiting for something to become true, never without an end."""

from __future__ import annotations

import time
from collections.abc import Callable

LONG = 60.0
"""Seconds after which it will not come to pass. Tests are about what happens, and the machine may be busy."""


def until(true: Callable[[], object], seconds: float = LONG, *, every: float = 0.1, what: object = "it") -> float:
    """Wait for it; return how long that took. AssertionError, which names ``what``, when it does not come to pass."""
    began = time.monotonic()
    while not true():
        waited = time.monotonic() - began
        assert waited < seconds, f"{what() if callable(what) else what}: not within {seconds:g} s"
        time.sleep(every)
    return time.monotonic() - began


def eventually(holds: Callable[[], object], seconds: float = LONG) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
