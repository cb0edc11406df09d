"""A graph as one self-contained page of HTML: the picture, and a table of the peers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mesh_sync.findings import printable
from mesh_sync.workspace.graph.graph import Graph
from mesh_sync.workspace.graph.svg import svg

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
:root { color-scheme: light dark; }
svg { max-width: 100%; height: auto; display: block; margin: auto; }
div { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
""".strip()


def html(mesh: Graph, rows: Sequence[tuple[str, ...]]) -> str:
    """The page. ``rows`` start with the headings."""
    head, *body = rows
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escape(mesh.name)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(mesh.name)}</h1>",
        f"<p>{len(mesh.nodes)} peers, {len(mesh.edges)} tunnels</p>",
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
