"""Who is prepared for this node's next key: whoever knocks under it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from attrs import frozen

from mesh_sync.membership.handshake import Door
from mesh_sync.membership.handshake_listener import Ear
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.topology import Topology

REFRESH = 10.0
"""Seconds between two looks at the list, and two lines that say who is waited for."""


@frozen
class Others:
    """The peers that have a tunnel with a node: ``managed``, key to name; ``unmanaged`` ones, whom a person tells."""

    managed: Mapping[str, str]
    unmanaged: tuple[str, ...]


def others(mesh: Mesh, name: str) -> Others:
    """Who has to learn a new key of ``name``. A peer that changes its own key may run either of its two."""
    topology = Topology(mesh, datetime.now(UTC))
    if name not in topology.members:
        return Others({}, ())
    near = [neighbour.peer for neighbour in topology.neighbours(name)]
    keys = ((key, peer) for peer in near for key in (peer.public_key, peer.next_public_key) if key)
    managed = {str(key): peer.name for key, peer in keys if peer.managed}
    return Others(managed, tuple(peer.name for peer in near if not peer.managed))


def wait_for(
    look: Callable[[], Others], private_key: str, port: int, seconds: float, note: Callable[[str], None]
) -> list[str]:
    """Listen until everybody has knocked, at most so long; return the names of those who have not.

    A prepared peer knocks every 5 s for 90 s, and again after 25 s at the latest. ``look`` tells who is there, and is
    asked again and again: others change their keys too, and leave. Raise DeviceError.
    """
    heard = set[str]()
    end = time.monotonic() + seconds
    door = Door(private_key)
    with Ear(port) as ear:
        while missing := set((managed := look().managed).values()) - heard:
            left = end - time.monotonic()
            if left <= 0:
                return sorted(missing)
            for message in ear.messages(min(left, REFRESH)):
                name = managed.get(door.who(message) or "")
                if name in missing:
                    missing.remove(name)
                    heard.add(name)
                    note(f"{name} is prepared")
                if not missing:
                    return []
            note(f"waiting for {', '.join(sorted(missing))}")
    return []
