"""What time it is, as far as this machine can know. Whether a peer has expired is decided by that, and not by a clock
that may be wrong.

A clock that is kept right (or that node.toml trusts) counts. So does one that was, at any time since the boot: what has
passed since is counted by the kernel, whatever was done to the clock. Otherwise the time is only known to be no earlier
than what was certain before: the date of the applied commit, and the moment at which that was last worked out.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from attrs import asdict, frozen

from mesh_sync.errors import DeviceError
from mesh_sync.node.config import Node
from mesh_sync.node.state import Applied
from mesh_sync.system import kernel_clock
from mesh_sync.system.files import write_atomically
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, table

DATES_DIFFER = 3600.0
"""Seconds that a commit may be ahead of a clock that is right: those of the people who commit are not exact."""
STEP = 5.0
"""Seconds between two readings of a clock that is right after which the first one was not."""


@frozen
class Seen:
    """The clock at a moment of this boot at which it was kept right: Unix seconds, and seconds since the boot."""

    boot: str
    wall: float
    since_boot: float

    def at(self, since_boot: float) -> float:
        """The time at another moment of the same boot, in Unix seconds."""
        return self.wall + since_boot - self.since_boot


@frozen
class Moment:
    """The time that counts, in Unix seconds; if it is not ``sure``, it is that or later."""

    at: float
    sure: bool

    @property
    def date(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)


@frozen
class Clock:
    """``wall``: what the clock says; ``known``: what time it is, None if this machine cannot know; ``floor``: when it
    was last known. Unix seconds.
    """

    wall: float
    known: float | None = None
    floor: float = 0.0

    def counts(self, dated: float | None) -> Moment:
        """The moment by which peers expire, where a commit of the date ``dated`` is in force (None: none is)."""
        if self.known is None:
            return Moment(max(self.floor, dated or 0.0), sure=False)
        return Moment(max(self.known, dated or 0.0), sure=self.known >= (dated or 0.0) - DATES_DIFFER)

    def latest(self, dated: float | None) -> Moment:
        """The moment by which keys of signers begin and end: the clock's own word, but none that is surely too early.

        A key that has just begun is not held up by a clock that nothing keeps right.
        """
        found = self.counts(dated)
        return found if self.known is not None else Moment(max(self.wall, found.at), sure=False)


def trusted(wall: float) -> Clock:
    """A clock that is right."""
    return Clock(wall, wall)


def what_time(wall: float, since_boot: float, boot: str, seen: Seen | None, *, right: bool) -> float | None:
    """Given what the clocks say, and what was seen earlier, return what time it is; None if that cannot be known."""
    if right:
        return wall
    same_boot = seen is not None and seen.boot == boot and seen.since_boot <= since_boot
    return seen.at(since_boot) if seen and same_boot else None


def read(node: Node, applied: Applied, *, keep: bool = False) -> Clock:
    """What time it is. With ``keep``, what a clock that is right says is noted for the rest of the boot, once."""
    wall, since_boot, boot = time.time(), kernel_clock.since_boot(), kernel_clock.boot_id()
    right = kernel_clock.is_synchronised()
    seen = None if node.clock == "trusted" else _seen(node)
    if keep and right and node.clock != "trusted" and _is_needed(applied):
        _keep(node, Seen(boot, wall, since_boot), seen)
    known = what_time(wall, since_boot, boot, seen, right=right or node.clock == "trusted")
    return Clock(wall, known, applied.known_at or 0.0)


def _is_needed(applied: Applied) -> bool:
    """Whether anything depends on the time: a run with nothing to do in a mesh without dates writes nothing."""
    return applied.desired is None or applied.desired.has_dates


def _keep(node: Node, present: Seen, seen: Seen | None) -> None:
    if seen and seen.boot == present.boot and abs(seen.at(present.since_boot) - present.wall) < STEP:
        return
    try:
        write_atomically(node.clock_file, json.dumps(asdict(present)), durable=False)
    except DeviceError:  # no worse than before; what cannot be written is told by what has to be
        return


def _seen(node: Node) -> Seen | None:
    try:
        return _seen_of(read_json(node.clock_file.read_bytes()))
    except (OSError, Wrong):
        return None


_seen_of = table(Seen)
