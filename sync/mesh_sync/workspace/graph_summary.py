"""A mesh of more peers than a picture can hold, as a graph of groups. Pure.

A group is all peers whose first tag is the same; where no peer has a tag, all that do the same: relays, hubs, those
behind hubs, other nodes, unmanaged peers. Tunnels are counted, none of them is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from attrs import define, field

from mesh_sync.findings import printable
from mesh_sync.mesh.model import Peer
from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.terminal.say import count
from mesh_sync.workspace.graph import FIXED, HIDDEN, NAMED, Edge, Graph, Node, kind

LARGE = 100
"""Peers that are drawn one by one; of more there is a summary."""
MOST_TAGS = 30
"""Tags that have a group; the peers of the others, which fewer have, are in one group."""
WORDS = {FIXED: "at fixed addresses", NAMED: "at names", HIDDEN: "without endpoints"}
IN = ("in the mesh", "unmanaged")


@define
class _Group:
    """Peers that are drawn as one, in numbers: ``roots``, of which ``hidden`` have no endpoint, and all by kind."""

    roots: int = 0
    hidden: int = 0
    hidden_unmanaged: int = 0
    kinds: Counter[str] = field(factory=Counter)

    def impossible(self, other: _Group, *, relayed: bool) -> int:
        """How many of the pairs with the roots of another group cannot talk."""
        pairs = self.hidden * other.hidden
        able = (self.hidden - self.hidden_unmanaged) * (other.hidden - other.hidden_unmanaged)
        return pairs - able if relayed else pairs


def summary(view: PeerView) -> Graph:
    """The graph of a mesh by groups, the largest first; peers outside the mesh are a group for each reason."""
    peers = view.mesh.peers
    states = {name: view.state(peer) for name, peer in peers.items()}
    active = {name: peer for name, peer in peers.items() if states[name] in IN}
    names = _names(active)
    groups: dict[str, _Group] = {}
    below: Counter[tuple[str, str]] = Counter()
    for name, peer in active.items():
        group = groups.setdefault(names[name], _Group())
        group.kinds[kind(peer)] += 1
        if peer.via:
            one, other = sorted((names[name], names[peer.via]))
            below[one, other] += 1
        else:
            group.roots += 1
            group.hidden += not peer.endpoint
            group.hidden_unmanaged += not peer.endpoint and not peer.managed
    ordered = sorted(groups, key=lambda name: (-groups[name].kinds.total(), name))
    outside = Counter(state for state in states.values() if state not in IN)
    nodes = [_node(name, groups[name], below[name, name]) for name in ordered]
    nodes += [Node(state, HIDDEN, state, (count(number, "peer"),)) for state, number in sorted(outside.items())]
    roots = sum(group.roots for group in groups.values())
    tunnels = roots * (roots - 1) // 2 + len(active) - roots
    told = f"{count(len(peers), 'peer')} in {count(len(nodes), 'group')}, {count(tunnels, 'tunnel')}"
    edges = _edges(groups, ordered, below, relayed=bool(view.relays))
    return Graph(view.mesh.name, tuple(nodes), tuple(edges), told)


def groups_of(view: PeerView) -> dict[str, str]:
    """The group of each peer, by name; that of a peer outside the mesh is its state."""
    states = {name: view.state(peer) for name, peer in view.mesh.peers.items()}
    active = {name: peer for name, peer in view.mesh.peers.items() if states[name] in IN}
    return states | _names(active)


def _names(active: dict[str, Peer]) -> dict[str, str]:
    """The group of each peer."""
    tags = Counter(peer.tags[0] for peer in active.values() if peer.tags)
    if not tags:
        hubs = {peer.via for peer in active.values()}
        return {name: _part(peer, is_hub=name in hubs) for name, peer in active.items()}
    shown = {tag for tag, _ in tags.most_common(MOST_TAGS)}
    others = f"{len(tags) - len(shown):,} other tags"
    tagged = {tag: f"tag {printable(tag)}" if tag in shown else others for tag in tags}
    return {name: tagged[peer.tags[0]] if peer.tags else "without a tag" for name, peer in active.items()}


def _part(peer: Peer, *, is_hub: bool) -> str:
    """What a peer does, as the name of a group."""
    if peer.relay:
        return "relays"
    if is_hub:
        return "hubs"
    if not peer.managed:
        return "unmanaged peers"
    return "nodes behind hubs" if peer.via else "nodes"


def _node(name: str, group: _Group, inside: int) -> Node:
    """``inside``: how many of its peers are reached via another of them."""
    tunnels = group.roots * (group.roots - 1) // 2 + inside
    facts = [count(group.kinds.total(), "peer")]
    facts += [f"{group.kinds[how]:,} {words}" for how, words in WORDS.items() if group.kinds[how]]
    facts += [f"{count(tunnels, 'tunnel')} with each other"] if tunnels else []
    ((most, _),) = group.kinds.most_common(1)
    state = "unmanaged" if name == "unmanaged peers" else "in the mesh"
    return Node(name, most, state, tuple(facts))


def _edges(
    groups: dict[str, _Group], ordered: list[str], below: Counter[tuple[str, str]], *, relayed: bool
) -> Iterator[Edge]:
    """One for each two groups with tunnels between them."""
    for one, other in combinations(ordered, 2):
        first, second = sorted((one, other))
        pairs = groups[one].roots * groups[other].roots
        if pairs:
            yield Edge(one, other, pairs > groups[one].impossible(groups[other], relayed=relayed))
        elif below[first, second]:
            yield Edge(one, other, relayed=True)
