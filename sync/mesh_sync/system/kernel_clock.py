"""What the kernel says of its clock: whether something keeps it right, and how long this boot has lasted."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

TIME_ERROR = 5
"""What adjtimex(2) returns while nothing keeps the clock right (STA_UNSYNC): since the boot, or for nine hours."""
_TIMEX = 512
"""Bytes; struct timex takes 208 on 64-bit machines. All zero, it asks and sets nothing."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def is_synchronised() -> bool:
    """Whether chrony, timesyncd or another keeps the clock right, as the kernel has it. False where it may not say."""
    try:
        answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))
    except (AttributeError, OSError):  # a C library without it
        return False
    return 0 <= answer < TIME_ERROR


def since_boot() -> float:
    """Seconds since the boot, those of a suspended machine included. No change of the clock touches them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """What tells this boot from every other; empty where the kernel does not say."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
