"""How much others may ask of this node: token buckets, for each of them and for all together."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from attrs import define, field

KEPT = 60.0
"""Seconds for which a source is remembered at least: longer than any of these buckets takes to refill."""


@define
class Bucket:
    """``rate`` tokens a second, at most ``burst`` at once."""

    rate: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    _tokens: float = field(init=False)
    _at: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._tokens, self._at = self.burst, self.clock()

    def take(self, number: float = 1.0) -> bool:
        """Take so many tokens if there are. Half a bucket is enough for any number; the rest is owed."""
        self._fill()
        if self._tokens < min(number, self.burst / 2):
            return False
        self._tokens -= number
        return True

    @property
    def full(self) -> bool:
        self._fill()
        return self._tokens >= self.burst

    @property
    def wait(self) -> float:
        """Seconds until there is a token."""
        self._fill()
        return max(0.0, (1 - self._tokens) / self.rate)

    def _fill(self) -> None:
        moment = self.clock()
        self._tokens = min(self.burst, self._tokens + (moment - self._at) * self.rate)
        self._at = moment


class Budget:
    """A bucket for each source, and one for all. A source whose own is empty takes nothing from the others.

    Sources are peers of the list, which bounds their number.
    """

    def __init__(
        self, each: tuple[float, float], all_: tuple[float, float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._each = each
        self._clock = clock
        self._sources: dict[Hashable, Bucket] = {}
        self._cleared = clock()
        self.all = Bucket(*all_, clock)

    def take(self, source: Hashable, number: float = 1.0) -> bool:
        """Whether ``source`` may have this one, which costs so much."""
        if self._clock() - self._cleared > KEPT:
            self._cleared = self._clock()
            self._sources = {one: bucket for one, bucket in self._sources.items() if not bucket.full}
        if source not in self._sources:
            self._sources[source] = Bucket(*self._each, self._clock)
        return self._sources[source].take(number) and self.all.take(number)

    def __len__(self) -> int:
        return len(self._sources)
