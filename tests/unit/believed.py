"""One node with one peer: what is applied, what the interface shows, what a watchdog believes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mesh_sync.node import state as states
from mesh_sync.node.config import Node, Paths, Repository, Trust
from mesh_sync.node.state import Applied, State
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_watchdog.policy.observations import Declared, Seen
from mesh_watchdog.policy.peer import UP, PeerState

KEY, OTHER = "k" * 43 + "=", "o" * 43 + "="
ALIVE = Seen("203.0.113.12:51820", 1_700_000_000, 1000, 1000)


def applied_node(folder: Path) -> Node:
    """A node whose applied state has one peer."""
    paths = Paths(state=folder / "state", run=folder / "run", wireguard=folder / "wireguard")
    made = Node(name="a", repository=Repository(urls=("x",)), trust=Trust(mode="none"), paths=paths)
    peer = DesiredPeer("b", KEY, ("10.0.0.12",), frozenset({"10.0.0.12/32"}), ("b.example:51820",))
    desired = Desired("lab", "a", "me", 51820, 1420, frozenset({"10.0.0.11/32"}), frozenset({"10.0.0.0/24"}), (peer,))
    states.save(made.state_file, State(Applied(desired=desired, resolved={KEY: "203.0.113.12:51820"})))
    return made


def peer(**changes: Any) -> PeerState:
    declared = Declared("b", (Endpoint("b.example", 51820),), "10.0.0.12")
    return PeerState(**{"declared": declared, "phase": UP, "since": 0.0, "heard": 990.0, "seen": ALIVE, **changes})
