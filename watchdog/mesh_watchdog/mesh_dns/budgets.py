"""How much others may ask of this node: token buckets, for each of them and for all together."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from attrs import define, field

MOST_KEPT = 4096
"""Sources that are kept apart; with more, those that have all their tokens again are forgotten."""


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

    def take(self) -> bool:
        """Take one, if there is one."""
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def full(self) -> bool:
        self._fill()
        return self._tokens >= self.burst

    @property
    def wait(self) -> float:
        """Seconds until there is one."""
        self._fill()
        return max(0.0, (1 - self._tokens) / self.rate)

    def _fill(self) -> None:
        moment = self.clock()
        self._tokens = min(self.burst, self._tokens + (moment - self._at) * self.rate)
        self._at = moment


class Budget:
    """A bucket for each source, and one for all of them. Who has spent its own takes nothing from the others."""

    def __init__(self, each: tuple[float, float], all_: tuple[float, float]) -> None:
        self._each = each
        self._sources: dict[Hashable, Bucket] = {}
        self.all = Bucket(*all_)

    def take(self, source: Hashable) -> bool:
        """Whether ``source`` may have this one."""
        if source not in self._sources:
            if len(self._sources) >= MOST_KEPT:
                self._sources = {one: bucket for one, bucket in self._sources.items() if not bucket.full}
            if len(self._sources) >= MOST_KEPT:
                return False
            self._sources[source] = Bucket(*self._each)
        return self._sources[source].take() and self.all.take()
