"""`mesh-sync graph`: every peer and every tunnel is in the picture, and no name can break out of it."""

from __future__ import annotations

import json
import math
import shutil
import stat
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from command import mesh_sync
from mesh_sync.fleet.compare import Fleet, Row, Standing
from mesh_sync.fleet.verify import Heard
from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.node.statement import Statement
from mesh_sync.wireguard import keys
from mesh_sync.workspace.graph import Edge, Graph, Node, dot, graph
from mesh_sync.workspace.graph_picture import MANY, html, layout, svg
from mesh_sync.workspace.graph_summary import summary
from mesh_sync.workspace.working_copy import WorkingCopy

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


def large(tmp_path: Path, *more: str, count: int = 120, tags: bool = True) -> Path:
    """A mesh of so many peers in two sites of different size, and one that is out; ``more``: lines of the first."""
    place = tmp_path / "mesh"
    (place / "peers").mkdir(parents=True)
    (place / "mesh.toml").write_text('format = 1\nname = "large"\nnetworks = ["10.0.0.0/16"]\n')
    for number in range(count):
        lines = [f'public_key = "{keys.public_key(keys.generate())}"', f'addresses = ["10.0.0.{number + 1}"]']
        lines += [f'endpoint = "203.0.113.{number + 1}:51820"'] if number % 4 else []
        lines += [f'tags = ["{"rome" if number % 3 else "oslo"}", "all"]'] if tags else []
        lines += more if number == 1 else ['via = "n1"'] if number == 3 else []
        lines += ["enabled = false"] if number == 5 else []
        (place / f"peers/n{number}.toml").write_text("\n".join([*lines, ""]))
    return place


def test_a_large_mesh_is_shown_by_its_tags(tmp_path: Path) -> None:
    place = large(tmp_path)
    text = mesh_sync("graph", place).fine()
    assert '"tag rome" [label="tag rome\\n79 peers"' in text
    assert '"tag oslo" [label="tag oslo\\n40 peers"' in text
    assert '"disabled" [label="disabled\\n1 peer"' in text
    assert [line for line in text.splitlines() if " -- " in line] == ['  "tag rome" -- "tag oslo";']
    said = mesh_sync("graph", place, "-o", tmp_path / "m.html").fine()
    assert said.endswith(f"120 peers in 3 groups, {118 * 117 // 2 + 1:,} tunnels\n")
    page = (tmp_path / "m.html").read_text()
    assert page.count("<tr>") == 121, "the table has each peer all the same"
    assert f"<p>120 peers in 3 groups, {118 * 117 // 2 + 1:,} tunnels</p>" in page


@pytest.mark.parametrize(("count", "grouped"), [(100, False), (101, True)])
def test_a_mesh_without_tags_is_shown_by_what_peers_do(tmp_path: Path, count: int, grouped: bool) -> None:
    place = large(tmp_path, count=count, tags=False)
    text = mesh_sync("graph", place).fine()
    assert ('"n7"' not in text) is grouped
    if grouped:
        edges = [line.strip() for line in text.splitlines() if " -- " in line]
        assert edges == ['"nodes" -- "hubs";', '"hubs" -- "nodes behind hubs" [penwidth=2];']
        assert "72 at fixed addresses\\n26 without endpoints\\n4,753 tunnels with each other" in text
        ElementTree.fromstring(svg(summary(view(place))))


def view(place: Path) -> PeerView:
    copy = WorkingCopy.open(place)
    return PeerView(copy.mesh, copy.moment)


@pytest.mark.parametrize("relay", [True, False])
@pytest.mark.parametrize("tags", [True, False])
def test_the_summary_counts_the_tunnels_that_the_whole_graph_has(tmp_path: Path, relay: bool, tags: bool) -> None:
    found = view(large(tmp_path, *(["relay = true"] if relay else []), tags=tags))
    whole, short = graph(found), summary(found)
    assert str(short).endswith(f", {len(whole.edges):,} tunnels")
    group = {name: node.name for node in short.nodes for name in members(found, node.name)}
    drawn: dict[tuple[str, str], set[bool]] = {}
    for edge in whole.edges:
        one, other = sorted((group[edge.one], group[edge.other]))
        drawn.setdefault((one, other), set()).add(edge.possible)
    shown = {(*sorted((edge.one, edge.other)),): edge.possible for edge in short.edges}
    assert shown == {pair: any(possible) for pair, possible in drawn.items() if pair[0] != pair[1]}


def members(found: PeerView, name: str) -> list[str]:
    """The peers of a group, told from its name."""
    peers = [one for one in found.mesh.peers.values() if one.enabled]
    hubs = {one.via for one in peers}
    said = {
        "relays": [one for one in peers if one.relay],
        "hubs": [one for one in peers if one.name in hubs and not one.relay],
        "nodes behind hubs": [one for one in peers if one.via],
        "nodes": [one for one in peers if not (one.via or one.relay or one.name in hubs)],
    }
    tagged = [one for one in peers if one.tags[:1] == (name.removeprefix("tag "),)]
    return [one.name for one in said.get(name, tagged)]


def test_tags_past_the_thirty_most_used_share_a_group(tmp_path: Path) -> None:
    place = large(tmp_path, tags=False)
    for number in range(120):
        with (place / f"peers/n{number}.toml").open("a") as file:
            file.write(f'tags = ["t{number % 40}"]\n')
    found = summary(view(place))
    assert len([node for node in found.nodes if node.name.startswith("tag ")]) == 30
    assert "10 other tags" in {node.name for node in found.nodes}


def fleet(**nats: str) -> str:
    """What `mesh-sync fleet --json` prints of nodes behind these NATs."""
    said = {name: Statement(mesh="lab", node=name, commit="c" * 40, version="1", nat=nat, moment=0.0)
            for name, nat in nats.items()}  # fmt: skip
    rows = tuple(Row(Heard(name, one), Standing.CURRENT) for name, one in said.items())
    silent = Row(Heard("silent"), Standing.SILENT)
    return json.dumps(Fleet("aws", "c" * 40, (*rows, silent)).as_json())


def test_the_nats_that_nodes_are_behind_are_shown_where_the_fleet_was_asked(mesh: Path, tmp_path: Path) -> None:
    answer = tmp_path / "fleet.json"
    answer.write_text(fleet(aws="public", azure="hard", home=NASTY, stranger="easy"))
    lines = mesh_sync("graph", mesh, "--fleet", answer).fine().splitlines()
    shown = {name: [line for line in lines if line.startswith(f'  "{name}" [')] for name in ("aws", "azure", "home")}
    assert ["no NAT before it" in line for line in shown["aws"]] == [True]
    assert ["behind a hard NAT" in line for line in shown["azure"]] == [True]
    assert ["NAT" in line for line in shown["home"]] == [False]
    assert "NAT" not in mesh_sync("graph", mesh).fine()
    page = tmp_path / "mesh.html"
    mesh_sync("graph", mesh, "--fleet", answer, "-o", page).fine()
    assert "behind a hard NAT" in page.read_text()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"nodes": [{"name": 1}]}', "[" * 100_000, "\udcff"])
def test_what_no_fleet_said_is_a_sentence(mesh: Path, tmp_path: Path, content: str) -> None:
    answer = tmp_path / "fleet.json"
    answer.write_bytes(content.encode(errors="surrogateescape"))
    ended = mesh_sync("graph", mesh, "--fleet", answer)
    assert ended.code == 2
    assert "mesh-sync fleet --json" in ended.err
