"""What this node currently believes, in the form that the responder and the caller need; rebuilt only on changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from mesh_sync.errors import MeshSyncError
from mesh_watchdog.mesh_dns.directory import Directory, View, calling, directory_of, view_of
from mesh_watchdog.policy import birthday
from mesh_watchdog.policy.observations import Here, Seen, Standing
from mesh_watchdog.policy.state import State, under_listed_keys
from mesh_watchdog.sense.chatter import Chatter
from mesh_watchdog.sense.wg_counters import read

FRESH = 0.1
"""Seconds for which a reading of the interface is recent enough to tell where a moving peer is."""
LASTING = 1.0
"""Seconds for which the ages in a view are not updated."""


class Views:
    """``believed`` returns the watchdog's state; ``chatter``: what is said with the peers that are in the views."""

    def __init__(self, interface: str, believed: Callable[[], State]) -> None:
        self.chatter = Chatter()
        self._interface = interface
        self._believed = believed
        self._directory = directory_of(State())
        self._view = View(self._directory, {})
        self._of: State | None = None
        self._made = self._read = float("-inf")
        self._found: Mapping[str, Seen] = {}
        self._reading = asyncio.Lock()

    @property
    def here(self) -> Here:
        return self._believed().here

    @property
    def applied(self) -> str | None:
        """The commit that is applied."""
        return self._believed().news.applied

    def standing(self, *, now: bool) -> Standing:
        """What this node says of itself; ``now``: it is ready for a round with the called peer."""
        return birthday.standing(self._believed(), now=now)

    @property
    def directory(self) -> Directory:
        """The directory of what is applied now."""
        state = self._believed()
        if state.here is not self._directory.here or len(state.peers) != len(self._directory.peers):
            self._directory, self._of = directory_of(state), None
        return self._directory

    def now(self) -> View:
        """What is believed."""
        state, directory, moment = self._believed(), self.directory, time.monotonic()
        if state is not self._of or moment - self._made > LASTING:
            self._view, self._of, self._made = view_of(directory, state, moment), state, moment
        return self._view

    async def fresh(self, caller: str) -> View:
        """What is believed and what the interface says now, just after a packet of the peer ``caller``."""
        async with self._reading:
            if time.monotonic() - self._read > FRESH:
                try:
                    found = await asyncio.to_thread(read, self._interface)
                    self._found = found or {}
                except (MeshSyncError, ValueError):  # the loop's own reading says so
                    self._found = {}
                self._read = time.monotonic()
        state = self._believed()
        seen = under_listed_keys(state.pairs, self._found, time.time())
        return calling(view_of(self.directory, state, time.monotonic(), seen), caller, seen)
