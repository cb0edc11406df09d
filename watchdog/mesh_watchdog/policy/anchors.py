"""The anchors of each node of a large mesh: peers that it asks for a sign of life all the time.

So they know where it is. They follow from the list, and each node knows those of every other one. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from heapq import nsmallest

from attrs import field, frozen

from mesh_watchdog.policy.observations import Declared

ANCHORS = 4
"""Peers with an endpoint in the list that are always watched …"""
IN_RESERVE = 8
"""… and others that take their places while they do not answer."""


def order(peers: Mapping[str, Declared], own: str) -> tuple[str, ...]:
    """The peers that may be anchors of a node, the first ones first: others for each node, the same every time."""

    def rank(key: str) -> tuple[bool, int]:
        return not peers[key].managed, zlib.crc32(f"{own} {key}".encode())

    public = (key for key, peer in peers.items() if peer.endpoint and key != own)
    return tuple(nsmallest(ANCHORS + IN_RESERVE, public, key=rank))


@frozen(eq=False)
class AnchorsOf:
    """The anchors of every node by one list, ``peers``; those of one are worked out once, when they are asked for."""

    peers: Mapping[str, Declared] = field(factory=dict)
    _known: dict[str, tuple[str, ...]] = field(factory=dict, init=False)

    def __getitem__(self, key: str) -> tuple[str, ...]:
        """The peers that may be anchors of this node, as `order` has them."""
        if key not in self._known:
            self._known[key] = order(self.peers, key)
        return self._known[key]
