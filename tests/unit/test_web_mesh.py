"""The page's table can be searched, filtered and sorted by plain addresses, and its picture leads to every peer."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.mesh.tree import Tree
from mesh_sync.web.mesh_page import picture
from mesh_sync.web.page import Page
from mesh_sync.web.peer_table import PAGE, Asked, chosen, rows
from mesh_sync.workspace.committed import Committed
from mesh_sync.workspace.direct_pairs import no_longer_direct
from mesh_sync.workspace.graph_summary import LARGE
from mesh_sync.workspace.pairs import How, pairs_of
from unit.list_keeper import Operator, key
from unit.web_page import Running, given_away, place, read, serving

MESH = 'format = 1\nname = "test"\nnetworks = ["10.0.0.0/16"]\n'


def listed(**peers: str) -> Committed:
    """A list with these peers; each is given what its file says besides key and address."""
    texts = {"mesh.toml": MESH.encode()}
    for number, (name, more) in enumerate(peers.items(), 1):
        address = f'addresses = ["10.0.{number // 200}.{number % 200 + 1}"]'
        texts[f"peers/{name}.toml"] = f'public_key = "{key()}"\n{address}\n{more}'.encode()
    return Committed(Path(), "0" * 40, Tree(texts), datetime.now(UTC))


AT = 'endpoint = "{}.example.org:51820"\n'
SMALL = listed(
    aws=AT.format("aws") + 'tags = ["cloud"]\n', home='description = "The Cellar"\n',
    office='tags = ["site", "cloud"]\n',
    phone='managed = false\nvia = "aws"\n', out="enabled = false\n",
)  # fmt: skip


def names(**query: str) -> list[str]:
    return [row.name for row in chosen(rows(SMALL), Asked.of(query))]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "aws home office out phone"),
        ({"q": "CELLAR"}, "home"),
        ({"q": "example.org cloud"}, "aws"),
        ({"q": "10.0.0.4"}, "office"),
        ({"tag": "cloud"}, "aws office"),
        ({"state": "unmanaged"}, "phone"),
        ({"state": "disabled", "q": "aws"}, ""),
        ({"sort": "name", "down": "1"}, "phone out office home aws"),
        ({"sort": "addresses", "down": "1"}, "out phone office home aws"),
        ({"sort": "__class__", "page": "-1"}, "aws home office out phone"),
        ({"page": "9" * 5000, "q": "\x00" * 5000}, ""),
    ],
    ids=str,
)
def test_the_address_says_which_peers_and_in_what_order(query: dict[str, str], found: str) -> None:
    assert names(**query) == found.split()


def test_addresses_are_sorted_as_numbers() -> None:
    many = listed(**{f"n{number}": "" for number in range(12)})
    found = [row.addresses[0] for row in chosen(rows(many), Asked.of({"sort": "addresses"}))]
    assert found[-3:] == ["10.0.0.11", "10.0.0.12", "10.0.0.13"]


def test_an_address_of_the_table_keeps_what_it_does_not_change() -> None:
    asked = Asked.of({"q": 'a&b="', "tag": "cloud", "page": "3"})
    assert asked.address(sort="via", page=1) == "/?q=a%26b%3D%22&tag=cloud&sort=via"


def test_every_peer_of_the_picture_is_a_link_with_a_title() -> None:
    drawn = str(picture(SMALL, Asked(), rows(SMALL)))
    links = re.findall(r'<a href="(/peer/\w+)">\n<g><title>(\w+)', drawn)
    assert sorted(links) == [(f"/peer/{name}", name) for name in ("aws", "home", "office", "phone")]
    assert "<style" not in drawn


def test_of_the_peers_that_were_asked_for_the_way_to_them_is_drawn_too() -> None:
    found = [row for row in rows(SMALL) if row.name == "phone"]
    assert re.findall(r"/peer/(\w+)", str(picture(SMALL, Asked(q="phone"), found))) == ["aws", "phone"]


def test_of_many_peers_groups_are_drawn_and_lead_to_their_peers() -> None:
    many = listed(
        **{f"n{number}": f'tags = ["t{number % 3}"]\n' + AT.format("x") * (number > 5) for number in range(LARGE + 5)}
    )
    drawn = str(picture(many, Asked(), rows(many)))
    assert re.findall(r'href="([^"]+)"', drawn) == [f"/?group=tag+t{number}" for number in range(3)]
    assert "<line" not in drawn, "only what is wrong or selected"
    selected = str(picture(many, Asked(group="tag t1"), rows(many)))
    assert selected.count("<line") == 2
    found = chosen(rows(many), Asked(group="tag t1"))
    assert {row.tags for row in found} == {("t1",)}
    assert len(re.findall("/peer/", str(picture(many, Asked(group="tag t1"), found)))) == len(found)


def test_of_each_pair_it_is_said_how_it_meets_and_why() -> None:
    view = SMALL.view
    told = {pair.other: (pair.how, pair.through) for pair in pairs_of(view, "home")}
    assert told == {"office": (How.NEVER, ()), "aws": (How.OTHER, ()), "phone": (How.VIA, ("aws",))}
    assert pairs_of(view, "out") == ()
    relayed = listed(aws=AT.format("aws") + "relay = true\n", home="", office="", azure=AT.format("azure")).view
    assert {pair.other: (pair.how, pair.through) for pair in pairs_of(relayed, "home")}["office"] == (
        How.RELAYED,
        ("aws",),
    )
    assert {pair.other: pair.how for pair in pairs_of(relayed, "aws")} == {
        "azure": How.BOTH, "home": How.OWN, "office": How.OWN,
    }  # fmt: skip


def test_pairs_that_a_change_takes_their_direct_way_are_told_once() -> None:
    def view(**peers: str) -> PeerView:
        return listed(**peers).view

    before = view(a=AT.format("a"), b=AT.format("b"), c="", d="")
    after = view(a="", b=AT.format("b"), c="", d="")
    lost = [(name, pair.other, pair.how) for name, pair in no_longer_direct(before, after)]
    assert sorted(lost) == [("a", "c", How.NEVER), ("a", "d", How.NEVER)]
    assert not list(no_longer_direct(before, before))


def test_a_view_asks_git_for_the_head_once_and_makes_the_rows_of_a_commit_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, log, real = Operator(tmp_path / "mesh"), tmp_path / "log", shutil.which("git")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/git"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {real} "$@"\n')
    program.chmod(0o755)
    page = Page(operator.place)
    made = page.rows(page.committed())
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert page.rows(page.committed()) is made
    assert page.edits == 0
    assert len(log.read_text().splitlines()) == 1
    operator.add("azure", "--commit").fine()
    assert [row.name for row in page.rows(page.committed())] == ["aws", "azure"]


@pytest.fixture(scope="module")
def page() -> Iterator[Running]:
    with place() as folder:
        operator = Operator(folder / "mesh")
        for number in range(PAGE + 20):
            operator.put(f"n{number}", f'public_key = "{key()}"\naddresses = ["10.0.0.{number + 9}"]\nvia = "aws"\n')
        operator.git.git.add("--all")
        operator.git.git.commit("--quiet", "-m", "many")
        given_away(folder)
        with serving(folder / "mesh") as running:
            yield running.enter()


def test_the_table_has_pages_and_works_without_script(page: Running) -> None:
    first = page.ask("/")
    assert f"{PAGE + 21} of {PAGE + 21} peers" in first.shown
    assert "page 1 of 2" in first.shown
    assert first.text.count("<tr>") == PAGE + 1
    [last] = [each["href"] for tag, each in read(first.text).elements if tag == "a" and each.get("rel") == "next"]
    assert page.ask(str(last)).text.count("<tr>") == 22
    found = page.ask("/?q=n1&sort=name&down=1").shown
    assert found.index(" n19 ") < found.index(" n10 ")


def test_script_gets_only_the_part_that_changes(page: Running) -> None:
    part = page.ask("/?q=n11", headers={"HX-Request": "true"}).text
    assert part.startswith('<div id="peers">')
    assert "<html" not in part


def test_both_languages_are_served(page: Running) -> None:
    chinese = page.ask("/", headers={"Accept-Language": "zh-CN"})
    assert '<html lang="zh-Hans">' in chinese.text
    assert "对等节点" in chinese.text
    assert "原文为英文" in page.ask("/history", headers={"Accept-Language": "zh-CN"}).text
    assert "is in English" not in page.ask("/history").text, "where all is"
    cookie = page.ask("/language/en?to=/plan").headers["Set-Cookie"].partition(";")[0]
    headers = {"Accept-Language": "zh-CN", "Cookie": f"{page.cookie}; {cookie}"}
    assert '<html lang="en">' in page.ask("/plan", headers=headers).text


@pytest.mark.parametrize(
    "path",
    ["/", "/peer/aws", "/peer/aws/edit", "/new", "/settings", "/plan", "/history", "/signers", "/invite", "/secrets"],
)
def test_a_page_can_be_used_by_keyboard_and_reader(page: Running, path: str) -> None:
    elements = read(page.ask(path).text).elements
    labelled = {each["for"] for tag, each in elements if tag == "label" and "for" in each}
    fields = [each for tag, each in elements if tag in ("input", "select", "textarea") and each.get("type") != "hidden"]
    assert all(each.get("id") in labelled or each.get("type") == "checkbox" for each in fields)
    ids = [each["id"] for _, each in elements if "id" in each]
    assert len(ids) == len(set(ids))
    assert [tag for tag, _ in elements if tag in ("h1", "main")] == ["main", "h1"]
    scrolled = [each for _, each in elements if each.get("class") == "scroll"]
    assert all(each.get("tabindex") == "0" and each.get("aria-label") for each in scrolled)
    assert all(int(each["tabindex"] or 0) <= 0 for _, each in elements if "tabindex" in each)
