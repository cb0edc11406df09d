"""What is reached without the tunnel. Pure: the kernel was asked before (`ways`)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from enum import Enum, auto

from mesh_sync.wireguard.endpoint import Address
from mesh_sync.wireguard.longest_prefix import LongestPrefix
from mesh_sync.wireguard.ways import Way


class Reach(Enum):
    """How packets to an address leave this machine."""

    OUTSIDE = auto()
    INSIDE = auto()
    """Into the tunnel."""
    NOT = auto()
    """There is no route."""


class Tunnel:
    """What leads into the interface: every way through it, and ``routes``, which may be about to be added."""

    def __init__(self, interface: str, routes: Iterable[str] = ()) -> None:
        self.interface = interface
        self._routes = LongestPrefix((ipaddress.ip_network(route), None) for route in routes)

    def reach(self, address: Address, way: Way | None) -> Reach:
        """Given the way that the kernel takes now. A route of ours takes nothing from one that is as specific."""
        if way and way.device == self.interface:
            return Reach.INSIDE
        ours = self._routes.find(address)
        if ours and (way is None or (way.table == "main" and ours[0].prefixlen > way.prefix)):
            return Reach.INSIDE
        return Reach.OUTSIDE if way else Reach.NOT
