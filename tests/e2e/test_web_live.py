"""The operator's page in Debian's Chromium, in a mesh where much is wrong: what it shows, and how it looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Page, expect

from e2e.chromium import PATIENCE, chromium, enter, opened
from e2e.looked_at import LOOKS, faults, press
from e2e.operators_desk import cloned
from e2e.signed_mesh import ADMIN
from e2e.watched_mesh import WatchedMesh
from lab import Lab
from lab.mesh import now
from lab.nat import HARD
from lab.waiting import until
from mesh_sync.web.texts import Texts
from mesh_sync.web.view import LANGUAGE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

A, B = "10.0.0.11", "10.0.0.12"
CUT = """table inet cut {
    chain input { type filter hook input priority -1; meta l4proto udp drop; }
    chain output { type filter hook output priority -1; meta l4proto udp drop; }
}"""
"""z hears nothing, and says nothing."""
SAID = {
    "a": "up to date",
    "b": "up to date",
    "r": "4 up, 1 stale",
    "s": "behind",
    "q": "refused: its history is not signed as it has to be",
    "z": "no answer",
}
"""What the table says of each node."""
PATHS = ("", "peer/a", "peer/z", "peer/q", "secrets", "pushing")
expect.set_options(timeout=PATIENCE * 1000)


class World(WatchedMesh):
    """The page on r, which relays between the hidden a and b; q verifies signatures, s is behind, z is down."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        super().__init__(lab)
        mesh = self.mesh
        for number, (name, address) in enumerate({"a": A, "b": B}.items(), start=1):
            site = lab.site(name, f"192.168.{number}.0/24", f"203.0.113.4{number}", nat=HARD)
            mesh.enlist(name, site.gateway, address=address)
        mesh.node("r", 21, relay=True)
        for number, name in enumerate("sqz", start=22):
            mesh.node(name, number)
        mesh.allow(ADMIN)
        mesh.sign_as(ADMIN)
        mesh.trust(mesh.nodes["q"], ADMIN, first_commit=mesh.push("six peers"))
        stack.enter_context(self)
        self.desk = cloned(mesh, "r")
        self.url, file = stack.enter_context(self.desk.page())
        window = opened(stack.enter_context(chromium(mesh.nodes["r"])))
        enter(window, self.url, file)
        self.tab = window.new_page()
        until(lambda: self.state("a", "b") == self.state("b", "a") == "relayed", PATIENCE, what=self.said)
        self._go_wrong()

    def _go_wrong(self) -> None:
        """A push by the page that a, b, r and q apply; then one that is not signed, and z is gone."""
        self.tab.goto(f"{self.url}peer/r/edit")
        self.tab.locator('[name="owner"]').fill("anna")
        press(self.tab)
        press(self.tab)
        expect(self.tab.locator("#pushing .note.good")).to_be_visible()
        self.desk.git("-c", "commit.gpgSign=false", "commit", "-q", "--allow-empty", "-m", "not signed")
        self.desk.git("push", "-q")
        self.mesh.now("a", "b", "r")
        now(self.mesh.nodes["q"], exit_code=4)
        self.watchdogs["z"].end()
        self.mesh.nodes["z"].run(["nft", "-f", "-"], input=CUT)

    def at(self, path: str, language: str = "en") -> Page:
        """A page in a language, once the nodes have been asked."""
        self.tab.context.add_cookies([{"name": LANGUAGE, "value": language, "url": self.url}])
        asking = self.tab.get_by_text(Texts(language)("fleet.asking"))

        def is_told() -> bool:
            self.tab.goto(self.url + path)
            return asking.count() == 0

        until(is_told, PATIENCE, every=1)
        return self.tab


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(lab, stack)


def rows(page: Page) -> dict[str, str]:
    """What the table of a page says of each peer."""
    found = [" ".join(row.inner_text().split()) for row in page.locator("tbody tr").all()]
    return {name: rest for name, _, rest in (row.partition(" ") for row in found)}


def says(world: World, path: str, words: dict[str, str]) -> None:
    """Wait until the table of a page has these words of each peer."""

    def has() -> bool:
        found = rows(world.at(path))
        return all(text in found[name] for name, text in words.items())

    until(has, PATIENCE, every=1, what=lambda: f"{rows(world.at(path))}\n{world.said()}")


def test_the_table_says_how_each_node_stands(world: World) -> None:
    says(world, "", SAID)
    says(world, "pushing", SAID)
    titles = world.at("").locator(".picture line title").all_text_contents()
    assert "a – b: relayed by r" in titles
    assert "r – z: stale" in titles


def test_a_peer_says_how_it_stands_with_each_other_and_why(world: World) -> None:
    stale = "stale last heard"
    says(world, "peer/z", {"r": f"direct {stale}", "a": stale, "s": stale})
    says(world, "peer/a", {"b": "direct or relayed relayed by r since", "q": "up, direct (a says so)", "z": stale})
    assert "Their NATs do not let them meet directly. Before a: a hard NAT." in rows(world.at("peer/a"))["b"]


@pytest.mark.parametrize("language", LOOKS)
@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_what_nodes_say_has_no_fault(world: World, path: str, language: str) -> None:
    assert not faults(world.at(path, language), f"live-{path.replace('/', '-') or 'mesh'}", language)
