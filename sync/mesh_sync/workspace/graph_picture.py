"""A graph as SVG, alone or in a page of HTML. Pure.

The roots are on a circle, each peer behind a relay further out in the relay's own sector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from html import escape

from attrs import frozen

from mesh_sync.findings import printable
from mesh_sync.workspace.graph import FIXED, HIDDEN, NAMED, Graph, Node

SPACING, STEP = 64.0, 120.0
"""Units between neighbours on a circle, and between circles."""
MARGIN, HEADROOM = 170.0, 50.0
"""Units beside everything, where the names are, and above and below it."""
LINE = 22
RADIUS = 8
LETTER = 8.0
"""Units that a letter of a name takes, as wide as fonts have it; names are of DNS."""
MANY = 1500
"""More lines than this are unreadable; then the roots' circle itself stands for "each with each"."""
STYLE = """
svg { font: 13px system-ui, sans-serif; background: #fff; }
text { fill: #1f2933; } .more { fill: #6b7785; font-size: 11px; }
line, .ring { stroke: #9aa8b8; stroke-width: 1; fill: none; } line.relay { stroke: #4a5a6c; stroke-width: 2; }
line.never { stroke: #d1242f; stroke-dasharray: 2 4; }
circle.node { stroke: #33475b; stroke-width: 1.5; } .fixed { fill: #7db7e8; } .named { fill: #8fd19e; }
.hidden { fill: #fff; } circle.unmanaged { stroke-dasharray: 3 2; } circle.off { fill: #e4e7eb; stroke: #9aa8b8; }
@media (prefers-color-scheme: dark) {
  svg { background: #10161d; } text { fill: #e6edf3; } .more { fill: #8d99a6; }
  line, .ring { stroke: #44566a; } line.relay { stroke: #8d99a6; }
  .hidden { fill: #10161d; } circle.node { stroke: #b8c4d0; } circle.off { fill: #2a343f; }
}
""".strip()
PAGE_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
:root { color-scheme: light dark; }
svg { max-width: 100%; height: auto; display: block; margin: auto; }
div { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
""".strip()
LEGEND = (
    (FIXED, "reached at a fixed address"),
    (NAMED, "reached at a name"),
    (HIDDEN, "initiates every session"),
    ("hidden unmanaged", "unmanaged"),
    ("off", "not in the mesh"),
)


@frozen
class Spot:
    """Where a peer is drawn, and at which angle seen from the middle (radians)."""

    x: float
    y: float
    angle: float


def layout(mesh: Graph) -> dict[str, Spot]:
    """A place for each peer in the mesh. Sectors are as wide as what hangs in them."""

    @cache
    def leaves(node: Node) -> int:
        """How many leaves hang below a peer, itself if none."""
        return sum(map(leaves, mesh.children(node))) or 1

    def place(nodes: Sequence[Node], start: float, width: float, inner: float) -> Iterator[tuple[str, Spot]]:
        """Share the sector among these peers, which are at least ``inner`` from the middle."""
        total = sum(map(leaves, nodes))
        for node in nodes:
            share = width * leaves(node) / total
            radius = max(inner, SPACING / share if share < 1 else 0)
            angle = start + share / 2
            yield node.name, Spot(radius * math.cos(angle), radius * math.sin(angle), angle)
            yield from place(mesh.children(node), start, share, radius + STEP)
            start += share

    roots = mesh.roots
    inner = 0.0 if len(roots) == 1 else max(sum(map(leaves, roots)) * SPACING / math.tau, STEP)
    return dict(place(roots, -math.pi / 2, math.tau, inner))


def svg(mesh: Graph, link: Callable[[Node], str] | None = None) -> str:
    """The whole picture, in one element that a page can hold too.

    With ``link``, which says where each peer leads to, it has no style and no legend of its own: these are the page's.
    """
    spots = layout(mesh)
    xs, ys = [spot.x for spot in spots.values()] or [0.0], [spot.y for spot in spots.values()] or [0.0]
    ends = [end for name, spot in spots.items() for end in _reach(name, spot)]
    left, right = min([min(xs) - MARGIN, *ends]), max([max(xs) + MARGIN, *ends])
    top, bottom = min(ys) - HEADROOM, max(ys) + HEADROOM
    width, height = right - left, bottom - top + LINE * (0 if link else len(LEGEND))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} {top:.0f} {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" role="{"group" if link else "img"}">',
        f"<title>{escape(mesh.name)}</title>",
        *([] if link else [f"<style>{STYLE}</style>"]),
        *_tunnels(mesh, spots),
        *(line for node in mesh.nodes if node.name in spots for line in _peer(node, spots[node.name], link)),
        *([] if link else _legend(mesh, left + 20, bottom)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _tunnels(mesh: Graph, spots: dict[str, Spot]) -> Iterator[str]:
    crowded = len(mesh.edges) > MANY
    if crowded:
        radius = math.hypot(spots[mesh.roots[0].name].x, spots[mesh.roots[0].name].y)
        yield f'<circle class="ring" r="{radius:.0f}"><title>each with each</title></circle>'
    for edge in mesh.edges:
        if edge.relayed or not crowded:
            kind = ("relay" if edge.relayed else "direct") + ("" if edge.possible and not edge.is_down else " never")
            one, other = spots[edge.one], spots[edge.other]
            line = f'<line class="{kind}" x1="{one.x:.1f}" y1="{one.y:.1f}" x2="{other.x:.1f}" y2="{other.y:.1f}"'
            yield f"{line}><title>{escape(edge.title)}</title></line>" if edge.title else f"{line}/>"


def _peer(node: Node, spot: Spot, link: Callable[[Node], str] | None) -> Iterator[str]:
    """A circle with the facts as its tooltip, and the name on the outer side of it."""
    if link:
        yield f'<a href="{escape(link(node))}">'
    facts = escape("\n".join((node.name, node.state, *node.lines)))
    kind = f"node {node.kind}" + (" unmanaged" if node.state == "unmanaged" else "")
    yield f'<g><title>{facts}</title><circle class="{kind}" cx="{spot.x:.1f}" cy="{spot.y:.1f}" r="{RADIUS}"/>'
    side, anchor = math.cos(spot.angle), _anchor(spot)
    x = spot.x + (0 if anchor == "middle" else math.copysign(RADIUS + 5, side))
    y = spot.y + (4 if anchor != "middle" else -RADIUS - 20 if math.sin(spot.angle) < 0 else RADIUS + 16)
    yield f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(node.name)}</text>'
    for address in node.lines[:1]:
        yield f'<text class="more" x="{x:.1f}" y="{y + 14:.1f}" text-anchor="{anchor}">{escape(address)}</text>'
    yield "</g></a>" if link else "</g>"


def _anchor(spot: Spot) -> str:
    """Which end of its name is at a peer (`text-anchor`)."""
    side = math.cos(spot.angle)
    return "middle" if abs(side) < 0.3 else "start" if side > 0 else "end"


def _reach(name: str, spot: Spot) -> tuple[float, float]:
    """From where to where a peer's name goes, or less; names are cut at the edges of the picture."""
    wide = LETTER * len(name)
    before, behind = {"middle": (wide / 2, wide / 2), "start": (0, wide), "end": (wide, 0)}[_anchor(spot)]
    return spot.x - before - 2 * RADIUS, spot.x + behind + 2 * RADIUS


def _legend(mesh: Graph, x: float, y: float) -> Iterator[str]:
    if not all(edge.possible for edge in mesh.edges):
        yield f'<line class="never" x1="{x + 190:.0f}" y1="{y - 4:.0f}" x2="{x + 214:.0f}" y2="{y - 4:.0f}"/>'
        yield f'<text x="{x + 222:.0f}" y="{y:.0f}">neither side has an endpoint</text>'
    for kind, words in LEGEND:
        yield f'<circle class="node {kind}" cx="{x:.0f}" cy="{y - 4:.0f}" r="6"/>'
        names = f": {', '.join(node.name for node in mesh.others)}" if kind == "off" and mesh.others else ""
        yield f'<text x="{x + 14:.0f}" y="{y:.0f}">{escape(words + names)}</text>'
        y += LINE


def html(mesh: Graph, rows: Sequence[tuple[str, ...]]) -> str:
    """One self-contained page: the picture, and a table of the peers whose ``rows`` start with the headings."""
    head, *body = rows
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escape(mesh.name)}</title><style>{PAGE_STYLE}</style></head><body>",
        f"<h1>{escape(mesh.name)}</h1>",
        f"<p>{escape(str(mesh))}</p>",
        svg(mesh).rstrip(),
        "<div><table>",
        _row("th", head),
        *(_row("td", row) for row in body),
        "</table></div>",
        "</body></html>",
    ]
    return "\n".join(lines) + "\n"


def _row(cell: str, texts: Sequence[str]) -> str:
    cells = "".join(f"<{cell}>{escape(printable(text))}</{cell}>" for text in texts)
    return f"<tr>{cells}</tr>"
