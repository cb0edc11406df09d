"""The kinds of nodes, and how the list has them."""

from __future__ import annotations

import random

from mesh_sync.wireguard.endpoint import Endpoint
from mesh_watchdog.policy.observations import Declared
from sim.underlay import PORT, Site

PUBLIC, NAMED, EASY, HARD, RELAY = "public", "named", "easy", "hard", "relay"
SHARES = {PUBLIC: 0.25, NAMED: 0.15, EASY: 0.5, HARD: 0.1}
"""A server; one whose address changes, with a name; one behind a NAT that keeps its port; behind one that does not."""
TTL = 60.0


def some_kind(chance: random.Random) -> str:
    """One of `SHARES`."""
    return chance.choices(list(SHARES), list(SHARES.values()))[0]


def is_hidden(kind: str) -> bool:
    """Whether it is behind a NAT, and has no endpoint in the list."""
    return kind in (EASY, HARD)


def listed(name: str, kind: str, number: int, site: Site) -> Declared:
    """The peer as the list has it; ``number``: of its mesh address."""
    address = f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}"
    here = site.public[4]
    host = "" if is_hidden(kind) else f"{name}.example" if kind == NAMED else here
    return Declared(
        name, (Endpoint(host, PORT),) if host else (), address, f"{here}:{PORT}" if kind == NAMED else "",
        addresses=(address,), allowed=(f"{address}/32",), relay=kind == RELAY, direct_only=kind == RELAY,
    )  # fmt: skip
