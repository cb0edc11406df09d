"""What a clock that may be wrong leaves open: whether peers have expired, whether commits were made. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from mesh_sync.diagnose.trouble import ERROR, WARNING, Trouble
from mesh_sync.findings import some
from mesh_sync.node.clock import DATES_DIFFER, Clock
from mesh_sync.node.state import Applied

SOON = 7 * 86400.0
"""Seconds before a peer expires from which it matters that the clock may be wrong."""
SYNCHRONISE = (
    "have chrony or systemd-timesyncd keep the clock right; where the machine's host does that, say "
    'clock = "trusted" in node.toml'
)


def clock_troubles(applied: Applied, clock: Clock) -> Iterator[Trouble]:
    """Given the applied state and what the time is known to be, yield what cannot be decided by it."""
    moment, dated = clock.counts(applied.dated), applied.dated or 0.0
    if clock.known is not None and not moment.sure:
        text = f"the clock says {_minute(clock.known)}, and the applied commit was made {_minute(dated)}"
        yield Trouble("clock-behind", f"{text}: one of the two is wrong; the later one counts", SYNCHRONISE, ERROR)
    if clock.known is not None or not applied.desired:
        return
    open_ = [peer for peer in applied.desired.peers if peer.ends is not None and peer.ends > moment.at]
    behind = clock.wall < moment.at - DATES_DIFFER
    open_ = [peer for peer in open_ if behind or (peer.ends or 0.0) <= clock.wall + SOON]
    if open_:
        peers = some([f"{peer.name} (expires {_minute(peer.ends or 0.0)})" for peer in open_])
        text = "nothing keeps the clock right, so that it is not known whether these have expired; they stay peers"
        yield Trouble("clock-unsure", f"{text}: {peers}", SYNCHRONISE, WARNING)


def _minute(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
