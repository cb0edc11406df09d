"""The first page: the table of peers, and the picture of the mesh."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mesh_sync.web.page import Page
from mesh_sync.web.peer_table import PAGE, SORTS, Asked, Row, chosen
from mesh_sync.web.texts import Texts
from mesh_sync.web.view import is_markup, peers_said, render, texts_for
from mesh_sync.workspace.committed import Committed
from mesh_sync.workspace.fleet_now import FleetNow, Now
from mesh_sync.workspace.graph import Edge, Graph, Node, graph
from mesh_sync.workspace.graph_picture import svg
from mesh_sync.workspace.graph_summary import LARGE, summary

FINDINGS = 50
"""Findings that are listed at once."""
QUIET = "/quiet/mesh"
"""Where the part asks for itself, until the nodes have answered."""
TAGS = 100
"""Tags that can be chosen from."""


def routes(page: Page) -> list[Route]:
    """The page, and its part that changes as a person searches."""

    def mesh(request: Request) -> Response:
        committed, asked = page.committed(), Asked.of(request.query_params)
        every = page.rows(committed)
        found = chosen(every, asked)
        last = max(1, -(-len(found) // PAGE))
        asked = evolve(asked, page=min(asked.page, last))
        seen, t = page.fleet(), texts_for(request)
        fleet = seen.fleet if seen and seen.fleet and seen.fleet.answered else None
        part = request.url.path == QUIET or request.headers.get("hx-request") == "true"
        return render(
            request, "mesh_table.html" if part else "mesh.html", current="mesh",
            page=page, committed=committed, asked=asked, found=found, last=last, sorts=SORTS,
            rows=found[(asked.page - 1) * PAGE : asked.page * PAGE], number=len(every),
            states=Counter(row.state for row in every),
            tags_of_peers=[tag for tag, _ in Counter(tag for row in every for tag in row.tags).most_common(TAGS)],
            picture=picture(committed, asked, found, lambda mesh: live(mesh, fleet, t) if fleet else mesh),
            findings=committed.findings[:FINDINGS],
            seen=seen, again=QUIET + asked.address()[1:],
        )  # fmt: skip

    return [Route("/", mesh), Route(QUIET, mesh)]


def picture(
    committed: Committed, asked: Asked, found: Sequence[Row], with_state: Callable[[Graph], Graph] = lambda mesh: mesh
) -> object:
    """The peers that were asked for and their tunnels, or of many the groups that they are in, as SVG."""
    names = [row.name for row in found if row.name in committed.mesh.peers]
    if len(names) <= LARGE:
        drawn = with_state(graph(committed.view, only=names))
        return is_markup(svg(drawn, _to_peer)) if drawn.roots else ""
    return is_markup(svg(_quiet(summary(committed.view), asked.group), lambda node: Asked(group=node.name).address()))


def live(mesh: Graph, fleet: FleetNow, t: Texts) -> Graph:
    """The same with what nodes say, in titles: of themselves, and of tunnels that are not up directly."""
    apart = {pair: meets for pair in fleet.named if (meets := fleet.pair(*pair))}

    def said(node: Node) -> Node:
        row, what = fleet.rows.get(node.name, (None, None))
        if row is None or what is None:
            return node
        words = [t(f"taken.{what.value}")]
        if own := row.said:
            words.append(peers_said(t, own.up, own.stale, own.relayed, own.new))
        return evolve(node, lines=(*node.lines, *words))

    def met(edge: Edge) -> Edge:
        meets = apart.get((min(edge.one, edge.other), max(edge.one, edge.other)))
        if meets is None:
            return edge
        title = f"{edge.one} – {edge.other}: {t(f'now.{meets.now.value}', relay=meets.relay)}"
        return evolve(edge, title=title, is_down=meets.now is Now.STALE, relayed=edge.relayed or bool(meets.relay))

    return evolve(mesh, nodes=tuple(map(said, mesh.nodes)), edges=tuple(map(met, mesh.edges)))


def _to_peer(node: Node) -> str:
    return f"/peer/{node.name}"


def _quiet(mesh: Graph, selected: str) -> Graph:
    """The graph with the edges that need a look: those of the group that is selected, and those that cannot be."""
    edges = tuple(edge for edge in mesh.edges if not edge.possible or selected in (edge.one, edge.other))
    return evolve(mesh, edges=edges, told=str(mesh))
