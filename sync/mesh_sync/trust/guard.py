"""The drastic changes that a commit has to allow in so many words, by a trailer `Mesh-Allow: WHAT`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from datetime import datetime

from attrs import field, frozen

from mesh_sync.findings import some
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.topology import Topology
from mesh_sync.wireguard.desired import Desired

TRAILER = "Mesh-Allow"
REMOVE = "remove"
"""The kind of trip that this node's removal is."""


@frozen
class Standing:
    """What the guard compares: every peer that is in the mesh, with its endpoints, and the keys of this ``node``.

    ``names``: by key, who has it. A peer with another name and the same key was renamed.
    """

    peers: Mapping[str, frozenset[str]] = field(factory=dict)
    public_key: str = ""
    next_public_key: str = ""
    node: str = ""
    names: Mapping[str, str] = field(factory=dict)

    @property
    def own_keys(self) -> frozenset[str]:
        return frozenset(filter(None, (self.public_key, self.next_public_key)))


@frozen
class Trip:
    """One thing that needs a trailer; ``does`` is what a commit does, as the end of a sentence. ``node``: whom it is
    about, if the trailer names it.
    """

    kind: str
    does: str
    node: str = ""

    @property
    def what(self) -> str:
        """The value of the trailer `Mesh-Allow: WHAT`."""
        return f"{self.kind} {self.node}" if self.node else self.kind


def standing(mesh: Mesh, node: str, moment: datetime, keys: Set[str] = frozenset()) -> Standing:
    """How ``node`` sees the mesh at ``moment``: without peers that are disabled, expired or cut off.

    With the ``keys`` that it had before it is found under another name, too.
    """
    members = Topology(mesh, moment).members
    me = mesh.peers.get(node)
    if keys and (me is None or not me.keys & keys):
        me = next((peer for peer in mesh.peers.values() if peer.keys & keys), me)
    return Standing(
        {name: frozenset(map(str, peer.endpoint)) for name, peer in members.items()},
        me.public_key if me else "",
        (me.next_public_key or "") if me else "",
        me.name if me else node,
        {key: name for name, peer in members.items() for key in peer.keys},
    )


def remembered(desired: Desired) -> Standing:
    """The same, as far as the interface that was applied last tells it: for when the commit itself is gone."""
    peers = {peer.name: frozenset(peer.endpoint) for peer in desired.peers}
    names = {key: peer.name for peer in desired.peers for key in peer.keys}
    own = dict.fromkeys(filter(None, (desired.public_key, desired.other_key)), desired.name)
    peers = {desired.name: frozenset(), **peers}
    return Standing(peers, desired.public_key, desired.other_key, desired.name, {**names, **own})


def trips(before: Standing, after: Standing, max_removed: int) -> Iterator[Trip]:
    """What the change does to the node of ``before`` that needs a trailer. ``max_removed``: the limit of the mesh then.

    ``after`` is how that node sees the mesh whatever it is called there.
    """
    node, others = before.node, before.peers.keys() - {before.node}
    renamed = _renamed(before, after)
    left = sorted(name for name in others - after.peers.keys() if name not in renamed)
    if len(left) > max_removed:
        limit = f"more than max_removed_peers = {max_removed}"
        yield Trip("removed-peers", f"removes {len(left):,} of {len(others):,} peers ({some(left)}), {limit}")
    if others and not after.peers.keys() - {after.node}:
        yield Trip("empty-list", "leaves no other peer in the mesh")
    if node in before.peers and after.node not in after.peers:
        yield Trip(REMOVE, f"removes {node}, this node", node)
    if before.public_key and after.public_key not in ("", before.public_key, before.next_public_key):
        yield Trip("re-key", f"gives {node}, this node, another public key than it announced", node)
    elif after.node != node and node in after.peers:
        yield Trip("re-key", f"gives the name of {node}, this node, to another key", node)
    now = {name: renamed.get(name, name) for name in others if before.peers[name]}
    known = [(name, later) for name, later in now.items() if later in after.peers]
    if len(known) > 1 and all(before.peers[name] != after.peers[later] for name, later in known):
        yield Trip("all-endpoints", f"changes the endpoints of all {len(known):,} peers that have one")


def _renamed(before: Standing, after: Standing) -> dict[str, str]:
    """What peers whose name is gone are called now: a name that was free, with a key that they had."""
    pairs = ((before.names[key], after.names[key]) for key in before.names.keys() & after.names.keys())
    return {old: new for old, new in pairs if old not in after.peers and new not in before.peers}
