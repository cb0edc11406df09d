"""The machine's clocks. All of the watchdog lives on the monotonic one; the wall clock may say what it likes."""

from __future__ import annotations

import time
from pathlib import Path

from attrs import define, field

ASLEEP = 2.0
"""Seconds by which the machine must have slept for that to count."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def moment() -> float:
    """Seconds on the monotonic clock: never stepped, and standing still while the machine sleeps."""
    return time.monotonic()


def boot_id() -> str:
    """What tells this boot from every other; monotonic times of one boot mean nothing in the next."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def slept() -> float:
    """Seconds this machine has slept since it booted: what CLOCK_BOOTTIME counts and the monotonic clock does not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


@define
class Sleep:
    """Notices that the machine was asleep."""

    before: float = field(factory=slept)

    def is_over(self) -> bool:
        """Whether the machine slept since this was last asked."""
        before, self.before = self.before, slept()
        return self.before - before > ASLEEP


def wall() -> float:
    """Unix time, only ever shown to people."""
    return time.time()
