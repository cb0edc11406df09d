"""What the nodes say, for pages that are looked at: asked in the background, and kept for some seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock, Thread

from attrs import frozen

from mesh_sync.errors import MeshSyncError
from mesh_sync.workspace.fleet_now import FleetNow

AGAIN = 5.0
"""Seconds after which the nodes are asked again, if a page is asked for."""
OLD = 15.0
"""Seconds after which what they said is not shown any more."""


@frozen
class Seen:
    """What came of asking: None where this machine is no peer.

    ``began`` and ``ended``: on the monotonic clock; ``moment``: when it began, in Unix seconds.
    """

    fleet: FleetNow | None
    began: float
    ended: float
    moment: float


class Watching:
    """Asks by ``look``, once at a time, and only while pages are asked for."""

    def __init__(self, look: Callable[[], FleetNow | None]) -> None:
        self._look = look
        self._lock = Lock()
        self._thread: Thread | None = None
        self._seen: Seen | None = None

    def seen(self, since: float = 0.0) -> Seen | None:
        """What was heard last, if it was asked after ``since``; None while the nodes are being asked."""
        with self._lock:
            found, now = self._seen, time.monotonic()
            is_due = found is None or now - found.began > AGAIN or found.began < since
            if is_due and not (self._thread and self._thread.is_alive()):
                self._thread = Thread(target=self._ask, daemon=True)
                self._thread.start()
        if found is None or (found.fleet is not None and (now - found.ended > OLD or found.began < since)):
            return None
        return found

    def _ask(self) -> None:
        began, moment = time.monotonic(), time.time()
        try:
            fleet = self._look()
        except (MeshSyncError, OSError):  # what is wrong with the repository, the pages themselves say
            fleet = None
        self._seen = Seen(fleet, began, time.monotonic(), moment)
