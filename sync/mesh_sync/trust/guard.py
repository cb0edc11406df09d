"""The drastic changes that a commit has to allow in so many words, by a trailer `Mesh-Allow: WHAT`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from attrs import field, frozen

from mesh_sync.findings import some
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.topology import Topology
from mesh_sync.wireguard.desired import Desired

TRAILER = "Mesh-Allow"


@frozen
class Standing:
    """What the guard compares: every peer that is in the mesh, with its endpoints, and the keys of this node."""

    peers: Mapping[str, frozenset[str]] = field(factory=dict)
    public_key: str = ""
    next_public_key: str = ""


@frozen
class Trip:
    """One thing that needs the trailer `Mesh-Allow: WHAT`; ``does`` is what a commit does, as the end of a sentence."""

    what: str
    does: str


def standing(mesh: Mesh, node: str, moment: datetime) -> Standing:
    """How ``node`` sees the mesh at ``moment``: without peers that are disabled, expired or cut off."""
    members = Topology(mesh, moment).members
    me = mesh.peers.get(node)
    return Standing(
        {name: frozenset(map(str, peer.endpoint)) for name, peer in members.items()},
        me.public_key if me else "",
        (me.next_public_key or "") if me else "",
    )


def remembered(desired: Desired) -> Standing:
    """The same, as far as the interface that was applied last tells it: for when the commit itself is gone."""
    peers = {peer.name: frozenset(peer.endpoint) for peer in desired.peers}
    return Standing({desired.name: frozenset(), **peers}, desired.public_key, desired.other_key)


def trips(before: Standing, after: Standing, node: str, max_removed: int) -> Iterator[Trip]:
    """What the change does that needs a trailer. ``max_removed`` is the limit of the mesh before."""
    others = before.peers.keys() - {node}
    left = sorted(others - after.peers.keys())
    if len(left) > max_removed:
        limit = f"more than max_removed_peers = {max_removed}"
        yield Trip("removed-peers", f"removes {len(left):,} of {len(others):,} peers ({some(left)}), {limit}")
    if others and not after.peers.keys() - {node}:
        yield Trip("empty-list", "leaves no other peer in the mesh")
    if node in before.peers and node not in after.peers:
        yield Trip(f"remove {node}", f"removes {node}, this node")
    if before.public_key and after.public_key not in ("", before.public_key, before.next_public_key):
        yield Trip(f"re-key {node}", f"gives {node}, this node, another public key than it announced")
    known = [name for name in others & after.peers.keys() if before.peers[name]]
    if len(known) > 1 and all(before.peers[name] != after.peers[name] for name in known):
        yield Trip("all-endpoints", f"changes the endpoints of all {len(known):,} peers that have one")
