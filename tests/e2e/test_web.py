"""The operator's page on a node of a signed mesh, run by a person who is not root: what nodes say, and a push by it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from e2e.operators_desk import HOME, PROGRAM, cloned
from e2e.running_watchdog import Watchdog, watching
from e2e.signed_mesh import verifying_mesh
from lab import Lab
from lab.mesh import now
from lab.ping import first_answer
from lab.waiting import until
from unit.web_page import AS_A_USER, Running, read

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NAMES = ("a", "b", "c")
SIGNING = ("a", "b")
"""Nodes whose signing key the list names; c has none."""
SOON = 90


class World:
    """Three nodes with watchdogs, and the page on a, in a clone that belongs to a person without rights."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        self.mesh = mesh = verifying_mesh(lab, NAMES, SIGNING)
        for name in NAMES[1:]:
            first_answer(mesh.nodes["a"], f"10.0.0.{NAMES.index(name) + 21}")
        self.watchdogs: dict[str, Watchdog] = {
            name: stack.enter_context(watching(node)) for name, node in mesh.nodes.items()
        }
        self.page = stack.enter_context(self._served())

    def _served(self) -> ExitStack:
        self.desk, stack = cloned(self.mesh, "a"), ExitStack()
        a, words = self.desk.node, ["--no-browser", "-C", self.desk.place, "--socket", f"{HOME}/socket"]
        process = a.popen([*AS_A_USER, *PROGRAM, *words], env=self.desk.env)
        stack.callback(process.kill)
        assert process.stdout is not None
        first, second = process.stdout.readline(), process.stdout.readline()
        assert second, first
        self.browser = Running(process, "", second.split()[-1], unix=str(a.path(f"{HOME}/socket"))).enter()
        self.git = self.desk.git
        return stack

    def shown(self, path: str = "/") -> str:
        return self.browser.ask(path).shown

    def rows(self, path: str = "/") -> dict[str, str]:
        """What a table of the page says of each peer."""
        found = re.findall(r'<tr>\s*<th scope="row">.*?</tr>', self.browser.ask(path).text, re.DOTALL)
        words = (" ".join(" ".join(read(row).texts).split()) for row in found)
        return {name: rest for name, _, rest in (row.partition(" ") for row in words)}

    def say(self, path: str, **words: str) -> None:
        """Wait until each peer's row has these words."""

        def holds() -> bool:
            rows = self.rows(path)
            return all(word in rows.get(name, "") for name, word in words.items())

        until(holds, SOON, every=0.5, what=lambda: self.shown(path))


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(lab, stack)


@pytest.fixture
def net(world: World) -> World:
    """All nodes at the newest commit, and the page knows it."""
    world.mesh.now()
    world.say("/", **dict.fromkeys(NAMES, "up to date"))
    return world


def test_the_page_says_what_each_node_has_applied_and_whether_that_is_signed(net: World) -> None:
    net.say("/", **dict.fromkeys(NAMES, "2 up"))
    shown = net.shown()
    assert "from a at" in shown
    assert "2 answers are signed" in shown
    assert "One answer is not verified" in shown
    assert net.git("rev-parse", "HEAD")[:10] in net.rows()["c"]
    peer = net.shown("/peer/b")
    assert "up to date" in peer
    assert "verified by allowed_signers" in peer
    assert {row.partition("up, direct")[1] for row in net.rows("/peer/b").values()} == {"up, direct"}


def test_a_push_by_the_page_is_taken_up_node_by_node(net: World) -> None:
    browser, text = net.browser, net.git("show", "HEAD:peers/b.toml")
    was = re.findall(r'name="was" value="(\w+)"', browser.ask("/peer/b/edit?toml").text)[0]
    browser.follow(browser.ask("/peer/b/edit?toml", {"was": was, "text": f"{text}\nmtu = 1400\n"}))
    mark = re.findall(r'name="mark" value="(\w+)"', browser.ask("/plan").text)[0]
    browser.follow(browser.ask("/push", {"mark": mark, "subject": "b: a smaller mtu"}))
    until(lambda: "Pushed commit" in net.shown("/pushing"), SOON, what=lambda: net.shown("/pushing"))
    net.say("/pushing", **dict.fromkeys(NAMES, "behind"))
    net.mesh.now("b")
    net.say("/quiet/pushing", a="behind", b="up to date", c="behind")
    assert "hx-get" in browser.ask("/quiet/pushing").text, "it goes on"
    assert 'http-equiv="refresh"' in browser.ask("/pushing").text, "without script, too"
    net.mesh.now("a", "c")
    net.say("/pushing", **dict.fromkeys(NAMES, "up to date"))
    until(lambda: "hx-get" not in browser.ask("/quiet/pushing").text, SOON)
    assert "1400" in net.mesh.nodes["b"].run(["ip", "link", "show", "wg0"]).stdout


def test_why_a_node_refuses_is_told(net: World) -> None:
    good = net.git("rev-parse", "HEAD")
    net.git("-c", "commit.gpgSign=false", "commit", "-q", "--allow-empty", "-m", "not signed")
    net.git("push", "-q")
    try:
        now(net.mesh.nodes["b"], exit_code=4)
        net.say("/", a="behind", b="refused: its history is not signed", c="behind")
    finally:
        net.git("reset", "-q", "--hard", good)
        net.git("push", "-q", "--force")


def test_where_no_node_answers_the_page_says_that_it_has_the_list_alone(net: World) -> None:
    for name in ("b", "c"):
        net.watchdogs[name].end()
    until(lambda: "asked from a, no node answers" in net.shown(), SOON, what=net.shown)
    assert "up to date" not in net.shown()


def test_the_page_could_not_read_what_fleet_needs(world: World) -> None:
    argv = [*AS_A_USER, "cat", "/etc/mesh-sync/node.toml"]
    with pytest.raises(subprocess.CalledProcessError):
        world.mesh.nodes["a"].run(argv)
