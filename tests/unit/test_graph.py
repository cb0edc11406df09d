"""`mesh-sync graph`: every peer and every tunnel is in the picture, and no name can break out of it."""

from __future__ import annotations

import math
import shutil
import stat
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from command import mesh_sync
from mesh_sync.wireguard import keys
from mesh_sync.workspace.graph import Edge, Graph, Node, dot
from mesh_sync.workspace.graph_picture import MANY, html, layout, svg

SVG = "{http://www.w3.org/2000/svg}"
NASTY = 'a"b\\c </title><script>alert(1)</script> & \x1b[31m'


def node(name: str, via: str = "", kind: str = "fixed", state: str = "in the mesh", *lines: str) -> Node:
    return Node(name, kind, state, lines or ("10.0.0.1",), via)


def full(*nodes: Node) -> Graph:
    """A graph with the tunnels that the commands would find."""
    roots = [one.name for one in nodes if not one.via]
    edges = [Edge(one, other) for index, one in enumerate(roots) for other in roots[index + 1 :]]
    edges += [Edge(one.via, one.name, relayed=True) for one in nodes if one.via]
    return Graph("test", nodes, tuple(edges))


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sites, one behind a NAT with a camera behind it, a phone, and one that is out."""
    place = tmp_path_factory.mktemp("graph") / "mesh"
    mesh_sync("init", place).fine()
    for name, *words in (
        ("aws", "--endpoint", "aws.example.org:51820", "--description", NASTY.replace("\x1b", "")),
        ("azure", "--endpoint", "203.0.113.2:51820"),
        ("home",),
        ("cam", "--via", "home"),
        ("phone", "--via", "aws", "--unmanaged"),
        ("old", "--disabled"),
    ):
        mesh_sync("peer", "add", name, "--public-key", keys.public_key(keys.generate()), "-C", place, *words).fine()
    return place


def test_dot_is_the_default_and_has_every_peer_and_tunnel(mesh: Path) -> None:
    text = mesh_sync("graph", mesh).fine()
    tunnels = {line.strip().rstrip(";") for line in text.splitlines() if " -- " in line}
    assert tunnels == {
        '"aws" -- "azure"',
        '"aws" -- "home"',
        '"azure" -- "home"',
        '"aws" -- "phone" [penwidth=2]',
        '"home" -- "cam" [style=dotted, color=red]',
    }
    for name in ("aws", "azure", "home", "cam", "phone", "old"):
        assert f'  "{name}" [label="{name}\\n10.0.0.' in text


@pytest.mark.parametrize("name", ["m.svg", "m.html", "m.dot", "m.gv", "m.SVG"])
def test_the_form_follows_the_name(mesh: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    assert mesh_sync("graph", mesh, "-o", file).fine() == f"wrote {file}: 6 peers, 5 tunnels\n"
    assert file.read_text().startswith({".svg": "<svg", ".html": "<!DOC"}.get(file.suffix.lower(), "graph"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_another_name_is_a_sentence(mesh: Path, tmp_path: Path) -> None:
    ended = mesh_sync("graph", mesh, "-o", tmp_path / "m.pdf")
    assert ended.code == 2
    assert ".dot, .gv, .svg, .html" in ended.err


def test_a_list_that_is_not_whole_says_so(mesh: Path, tmp_path: Path) -> None:
    broken = tmp_path / "mesh"
    shutil.copytree(mesh, broken)
    (broken / "peers/azure.toml").write_text("mtu = 3\n")
    ended = mesh_sync("graph", broken)
    assert '"azure"' not in ended.fine()
    assert "mesh-sync check" in ended.err


def test_the_picture_has_a_circle_for_each_and_a_line_for_each_tunnel() -> None:
    picture = ElementTree.fromstring(svg(full(node("a"), node("b"), node("c"), node("d", via="a"))))
    names = [text.text for text in picture.iter(f"{SVG}text") if text.get("class") is None]
    assert names[:4] == ["a", "b", "c", "d"]
    assert len(list(picture.iter(f"{SVG}line"))) == 4
    assert len(list(picture.iter(f"{SVG}g"))) == 4


def test_no_name_breaks_out() -> None:
    nasty = Graph(NASTY, (node("a", "", "fixed", "in the mesh", NASTY),), ())
    picture = ElementTree.fromstring(svg(nasty).replace("\x1b", ""))
    assert not list(picture.iter(f"{SVG}script"))
    page = html(nasty, (("peer", "owner"), ("a", NASTY)))
    assert "<script" not in page
    text = dot(nasty)
    assert 'graph "a\\"b\\\\c </title>' in text
    assert "\x1b" not in text


def test_the_page_stands_alone() -> None:
    page = html(full(node("a"), node("b")), (("peer", "via"), ("a", "-"), ("b", "-")))
    seen: list[tuple[str, str]] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.extend((tag, name) for name, _ in attrs if name in ("src", "href", "srcset", "data"))

    Links().feed(page)
    assert seen == []
    assert "<td>a</td><td>-</td>" in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize("roots", [1, 2, 3, 30])
@pytest.mark.parametrize("children", [0, 1, 7])
def test_no_two_peers_are_drawn_on_one_another(roots: int, children: int) -> None:
    nodes = [node(f"r{root}") for root in range(roots)]
    nodes += [node(f"r{root}c{child}", via=f"r{root}") for root in range(roots) for child in range(children)]
    nodes += [node(f"{one.name}g", via=one.name) for one in nodes if one.via]
    spots = layout(full(*nodes))
    assert len(spots) == len(nodes)
    placed = list(spots.values())
    near = min(
        (math.hypot(a.x - b.x, a.y - b.y) for i, a in enumerate(placed) for b in placed[i + 1 :]), default=math.inf
    )
    assert near > 40


def test_a_mesh_of_nobody_and_of_one() -> None:
    for mesh in (full(), full(node("a"))):
        ElementTree.fromstring(svg(mesh))
        assert dot(mesh).endswith("}\n")


def test_a_large_mesh_is_a_ring_and_not_a_blot() -> None:
    mesh = full(*(node(f"n{number}") for number in range(100)))
    assert len(mesh.edges) > MANY
    picture = svg(mesh)
    assert '<circle class="ring"' in picture
    assert "<line" not in picture
