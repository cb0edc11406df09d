"""What the peers' counters were at the last look: only while the mesh moves from one secret to the next.

Kept under `run`, which a reboot clears as it clears the counters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mesh_sync.node.config import Node
from mesh_sync.system.files import write_atomically
from mesh_sync.typed_toml.fields import whole
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, mapping_of
from mesh_sync.wireguard import psk_rollover
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.live import Live


def settled(node: Node, desired: Desired, live: Live | None, moment: float) -> Desired:
    """The interface with the one preshared key that each pair should have at this moment."""
    if not psk_rollover.overlapping(desired):
        return desired
    return psk_rollover.settled(desired, live, _load(node.counters_file), moment)


def remember(node: Node, desired: Desired, live: Live | None) -> None:
    """Keep the counters for the next look, if it will need them."""
    if psk_rollover.overlapping(desired):
        write_atomically(node.counters_file, json.dumps(psk_rollover.counters(live)), durable=False)


def _load(path: Path) -> Mapping[str, int]:
    try:
        return _counters_of(read_json(path.read_bytes()))
    except (OSError, Wrong):
        return {}


_counters_of = mapping_of(whole)
