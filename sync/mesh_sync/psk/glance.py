"""What the peers' counters were at the last look: only while the mesh moves from one secret to the next.

Kept under `run`, which a reboot clears as it clears the counters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mesh_sync.files import write_atomically
from mesh_sync.interface.live import Live
from mesh_sync.interface.wanted import Wanted
from mesh_sync.node import Node
from mesh_sync.psk import overlap


def settled(node: Node, wanted: Wanted, live: Live | None, now: float) -> Wanted:
    """The interface with the one preshared key that each pair should have at this moment."""
    if not overlap.overlapping(wanted):
        return wanted
    return overlap.settled(wanted, live, _load(node.counters_file), now)


def remember(node: Node, wanted: Wanted, live: Live | None) -> None:
    """Keep the counters for the next look, if it will need them."""
    if overlap.overlapping(wanted):
        write_atomically(node.counters_file, json.dumps(overlap.counters(live)), durable=False)


def _load(path: Path) -> Mapping[str, int]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: total for key, total in found.items() if isinstance(total, int)} if isinstance(found, dict) else {}
