"""Hours of network life in milliseconds: a virtual clock, NATs, WireGuard's timers, DNS with caches, and the policy."""

from sim.history import Clock
from sim.tunnel import Tunnel
from sim.underlay import PORT, Site, Underlay
from sim.world import Node, World, Written, at, declared
from sim.zone import Resolver, Zone

__all__ = [
    "PORT",
    "Clock",
    "Node",
    "Resolver",
    "Site",
    "Tunnel",
    "Underlay",
    "World",
    "Written",
    "Zone",
    "at",
    "declared",
]
