"""The mesh as a graph: peers, and the tunnels between them. `graph_picture` draws it. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

from attrs import field, frozen

from mesh_sync.errors import ConfigError
from mesh_sync.findings import printable
from mesh_sync.mesh.model import Peer
from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.terminal.say import count

FIXED, NAMED, HIDDEN = "fixed", "named", "hidden"
"""How a peer is reached: at a literal address, at a name, or not at all (it initiates every session)."""
NATS = {"public": "no NAT before it", "easy": "behind an easy NAT", "hard": "behind a hard NAT"}
"""What a node says of the NAT before it, in words."""


@frozen
class Node:
    """One peer as pictures show it, or a group of them."""

    name: str
    kind: str
    state: str
    lines: tuple[str, ...]
    """What else is known, one fact a line."""
    via: str = ""

    @property
    def active(self) -> bool:
        return self.state in ("in the mesh", "unmanaged")


@frozen
class Edge:
    """A tunnel, or those of two groups. One that is not ``possible`` has no endpoint on either side, and no relay."""

    one: str
    other: str
    possible: bool = True
    relayed: bool = False
    title: str = ""
    """What a picture says of it, where it is pointed at."""
    is_down: bool = False
    """Whether it is known not to carry anything now."""


@frozen
class Graph:
    """A mesh at one moment. The roots have tunnels with each other; every other peer has one, with its relay."""

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    told: str = ""
    """How many peers and tunnels there are, where that is not how many nodes and edges."""
    _below: Mapping[str, list[Node]] = field(init=False, repr=False, eq=False)

    @_below.default
    def _by_relay(self) -> Mapping[str, list[Node]]:
        below: dict[str, list[Node]] = {}
        for node in self.nodes:
            if node.active:
                below.setdefault(node.via, []).append(node)
        return below

    @property
    def roots(self) -> list[Node]:
        return self._below.get("", [])

    def children(self, of: Node) -> list[Node]:
        """The peers that are reached via ``of``."""
        return self._below.get(of.name, [])

    def __str__(self) -> str:
        """How large it is, in words."""
        return self.told or f"{count(len(self.nodes), 'peer')}, {count(len(self.edges), 'tunnel')}"

    @property
    def others(self) -> list[Node]:
        """The peers outside the mesh: disabled, expired, cut off."""
        return [node for node in self.nodes if not node.active]


def nats(content: bytes) -> dict[str, str]:
    """Given what `mesh-sync fleet --json` printed, return what is before each node that says so, in words.

    Raise ConfigError when it is something else.
    """
    try:
        rows = json.loads(content)["nodes"]
        return {str(row["name"]): NATS[row["nat"]] for row in rows if row["nat"] in NATS}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ConfigError("--fleet: that is not what `mesh-sync fleet --json` prints") from None


def graph(view: PeerView, before: Mapping[str, str] | None = None, only: Collection[str] | None = None) -> Graph:
    """The graph of a mesh, in order of the peers' names; ``before``: what is before a node, by name (`nats`).

    ``only``: the names of the peers that it shows, with those through which they are reached.
    """
    shown = view.mesh.peers if only is None else _with_relays(view, only)
    peers = [(name, view.mesh.peers[name]) for name in sorted(shown)]
    nodes = tuple(_node(view, peer, (before or {}).get(name, "")) for name, peer in peers)
    active = {node.name: node for node in nodes if node.active}
    roots = [node for node in active.values() if not node.via]
    tunnels = [(one, other, False) for one, other in combinations(roots, 2)]
    tunnels += [(active[one.via], one, True) for one in active.values() if one.via]
    edges = [
        Edge(one.name, other.name, view.can_talk(one.name, other.name), relayed) for one, other, relayed in tunnels
    ]
    return Graph(view.mesh.name, nodes, tuple(edges))


def _with_relays(view: PeerView, names: Collection[str]) -> set[str]:
    """These peers, and all that others reach them through."""
    found, peers = set[str](), view.mesh.peers
    for name in names:
        at = name
        while at in peers and at not in found:
            found.add(at)
            at = peers[at].via or ""
    return found


def dot(mesh: Graph) -> str:
    """The graph in Graphviz's language."""
    lines = [
        f"graph {_quoted(mesh.name)} {{",
        '  layout=circo; node [shape=box, style="rounded,filled", fillcolor=white, fontname="sans-serif"];',
    ]
    colours = {FIXED: "lightblue", NAMED: "palegreen", HIDDEN: "white"}
    for node in mesh.nodes:
        label = "\\n".join(_escaped(text) for text in (node.name, *node.lines[:1]))
        look = f"fillcolor={colours[node.kind]}" if node.active else 'style="rounded,dashed", fontcolor=gray'
        if node.state == "unmanaged":
            look += ", shape=ellipse"
        tip = "\\n".join(_escaped(text) for text in (node.state, *node.lines))
        lines.append(f'  {_quoted(node.name)} [label="{label}", tooltip="{tip}", {look}];')
    for edge in mesh.edges:
        look = " [style=dotted, color=red]" if not edge.possible else " [penwidth=2]" if edge.relayed else ""
        lines.append(f"  {_quoted(edge.one)} -- {_quoted(edge.other)}{look};")
    return "\n".join((*lines, "}\n"))


def kind(peer: Peer) -> str:
    """How a peer is reached."""
    return HIDDEN if not peer.endpoint else NAMED if peer.roams else FIXED


def _node(view: PeerView, peer: Peer, before: str) -> Node:
    shared = view.gateways(peer).items()
    facts = [
        *map(str, peer.addresses),
        *(f"at {endpoint}" for endpoint in peer.endpoint),
        *(f"network {network}" for network in peer.announced),
        *(f"{mapped} is {network} there" for network, mapped in peer.translated),
        *(
            f"{network} while {_and(names[: names.index(peer.name)])}"
            for network, names in shared
            if names[0] != peer.name
        ),
        *([f"via {peer.via}"] if peer.via else []),
        *([before] if before else []),
        *([peer.description] if peer.description else []),
    ]
    return Node(peer.name, kind(peer), view.state(peer), tuple(map(printable, facts)), peer.via or "")


def _and(names: Sequence[str]) -> str:
    """That these do not answer."""
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} silent"


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')
