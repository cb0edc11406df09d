"""What peers say of themselves, such as where they can be reached: kept for a while, for peers that look for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence

from attrs import evolve

from mesh_watchdog.mesh_dns.directory import OLDEST
from mesh_watchdog.policy.observations import Sighting, Standing

SILENT = Standing()
MOST = 8
"""Places of one peer."""


class Published:
    """By public key. Only peers of the list are kept, which bounds their number."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, tuple[Sighting, ...], Standing]] = {}

    def put(self, key: str, places: Sequence[Sighting], standing: Standing = SILENT) -> None:
        """Keep what the peer just said in place of what it said before; all of it counts as its own word."""
        own = tuple(evolve(place, own=True, age=0.0) for place in places[:MOST])
        self._kept[key] = self._clock(), own, standing

    def of(self, key: str) -> tuple[Sighting, ...]:
        """What the peer said in the last 180 s."""
        return self._of(key)[0]

    def standing_of(self, key: str) -> Standing:
        """What else it said of itself then."""
        return self._of(key)[1]

    def _of(self, key: str) -> tuple[tuple[Sighting, ...], Standing]:
        at, places, standing = self._kept.get(key, (float("-inf"), (), Standing()))
        return (places, standing) if self._clock() - at <= OLDEST else ((), Standing())

    def keep_only(self, keys: Container[str]) -> None:
        """Forget peers that left the list."""
        self._kept = {key: kept for key, kept in self._kept.items() if key in keys}
