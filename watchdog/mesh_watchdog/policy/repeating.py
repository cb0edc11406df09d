"""Series of pauses, and the like, whose last value repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def repeating(values: Sequence[T], number: int) -> T:
    """The value at this place, counted from 0; past the end the last one."""
    return values[min(number, len(values) - 1)]
