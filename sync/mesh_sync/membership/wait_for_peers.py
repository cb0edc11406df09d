"""Which peers are prepared for this node's next key: those that begin a handshake with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from attrs import frozen

from mesh_sync.membership.handshake import Responder
from mesh_sync.membership.handshake_listener import HandshakeListener
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.topology import Topology

REFRESH = 10.0
"""Seconds between two looks at the list, and two lines that say which peers are missing."""


@frozen
class Neighbours:
    """The peers that have a tunnel with a node: ``managed``, key to name; ``unmanaged`` ones get theirs by hand."""

    managed: Mapping[str, str]
    unmanaged: tuple[str, ...]


def neighbours(mesh: Mesh, name: str) -> Neighbours:
    """Which peers need a new key of ``name``. A peer that changes its own key may run either of its two."""
    topology = Topology(mesh, datetime.now(UTC))
    if name not in topology.members:
        return Neighbours({}, ())
    near = [neighbour.peer for neighbour in topology.neighbours(name)]
    keys = ((key, peer) for peer in near for key in (peer.public_key, peer.next_public_key) if key)
    managed = {str(key): peer.name for key, peer in keys if peer.managed}
    return Neighbours(managed, tuple(peer.name for peer in near if not peer.managed))


def wait_for_peers(
    look: Callable[[], Neighbours], private_key: str, port: int, seconds: float, note: Callable[[str], None]
) -> list[str]:
    """Listen until every peer has begun a handshake, at most so long; return the names of those that have not.

    A prepared peer tries every 5 s for 90 s, and again after 25 s at the latest. ``look`` reads the list, and does so
    again and again: others change their keys too, and leave. Raise DeviceError.
    """
    heard = set[str]()
    end = time.monotonic() + seconds
    responder = Responder(private_key)
    with HandshakeListener(port) as listener:
        while missing := set((managed := look().managed).values()) - heard:
            left = end - time.monotonic()
            if left <= 0:
                return sorted(missing)
            for message in listener.messages(min(left, REFRESH)):
                name = managed.get(responder.initiator(message) or "")
                if name in missing:
                    missing.remove(name)
                    heard.add(name)
                    note(f"{name} is prepared")
                if not missing:
                    return []
            note(f"waiting for {', '.join(sorted(missing))}")
    return []
