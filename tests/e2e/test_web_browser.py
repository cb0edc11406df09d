"""The operator's page in Debian's Chromium, on a node of a signed mesh: what is clicked there reaches the nodes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Error, Page, expect

from e2e.chromium import PATIENCE, chromium, enter, opened
from e2e.operators_desk import HOME, cloned
from e2e.running_watchdog import watching
from e2e.signed_mesh import verifying_mesh
from lab import Lab
from lab.mesh import status, stranger
from lab.ping import first_answer
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

NAMES = ("a", "b", "c")
EMPTY = "There are no edits."
PRIVATE = re.compile(r"PrivateKey = (\S{44})")
OTHER = 8123
"""The port of another web page of the operator's machine."""
ATTACK = """<!DOCTYPE html><title>elsewhere</title>
<form method="post" action="{url}peer/c/remove"><button>a prize</button></form>
<a href="{url}">look</a>
<iframe src="{url}peer/c" title="framed"></iframe>
"""
FETCH = """url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams()})
  .then(() => 'answered', () => 'refused')"""
INJECTED = """url => {
  const script = document.createElement('script');
  script.textContent = 'window.ran = true';
  document.head.append(script);
  return fetch(url, {mode: 'no-cors'}).then(() => true, () => false).then(told => [Boolean(window.ran), told]);
}"""
"""What a script would do that had found its way into a page: run, and tell another one."""
expect.set_options(timeout=PATIENCE * 1000)


class World:
    """Three nodes with watchdogs and a phone, the page on a, and a browser beside it, which has entered."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        self.mesh = mesh = verifying_mesh(lab, NAMES, NAMES)
        stranger(mesh, "phone", 40, managed=False, via="a", endpoint=None)
        mesh.push("a phone")
        mesh.now()
        for number in (22, 23):
            first_answer(mesh.nodes["a"], f"10.0.0.{number}")
        for node in mesh.nodes.values():
            stack.enter_context(watching(node))
        self.desk = cloned(mesh, "a")
        self.url, self.file = stack.enter_context(self.desk.page())
        self.browser = stack.enter_context(chromium(mesh.nodes["a"]))
        self.window = opened(self.browser)
        enter(self.window, self.url, self.file)

    def at(self, path: str = "/", window: BrowserContext | None = None) -> Page:
        page = (window or self.window).new_page()
        page.goto(self.url.rstrip("/") + path)
        return page

    def signs(self, page: Page) -> str:
        """Sign and push the plan that the page shows: all nodes take the commit up, and the page says so; return it."""
        page.get_by_role("button", name="Sign and push").click()
        expect(page.get_by_text("Pushed commit")).to_be_visible()
        expect(page.locator("header .count")).to_have_count(0)
        commit = self.desk.git("rev-parse", "HEAD")
        self._say(page, "behind")
        self.mesh.now()
        self._say(page, "up to date")
        assert {name: status(node)["commit"] for name, node in self.mesh.nodes.items()} == dict.fromkeys(NAMES, commit)
        return commit

    def _say(self, page: Page, words: str) -> None:
        for name in NAMES:
            expect(page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))).to_contain_text(words)

    def mtu(self, name: str) -> int:
        """Of the node's own interface."""
        said = self.mesh.nodes[name].run(["ip", "link", "show", "wg0"]).stdout
        return int(re.findall(r"mtu (\d+)", said)[0])


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(lab, stack)


@pytest.fixture
def page(world: World) -> Iterator[Page]:
    """A tab with the page of the mesh; whatever edits there are in the end are dropped."""
    page = world.at()
    yield page
    page.goto(f"{world.url}plan")
    if (drop := page.get_by_role("button", name="Drop all edits")).is_visible():
        drop.click()
    expect(page.get_by_text(EMPTY)).to_be_visible()
    page.close()


def change(page: Page, name: str, more: str, field: str, value: str) -> None:
    """Edit a peer by its form as a person does, beginning at the mesh; ``more``: what is to be unfolded before."""
    page.get_by_role("link", name="Mesh", exact=True).first.click()
    page.get_by_role("rowheader").get_by_role("link", name=name, exact=True).click()
    page.get_by_role("link", name="Edit", exact=True).click()
    if more:
        page.get_by_text(more, exact=True).first.click()
    page.get_by_label(field, exact=True).fill(value)
    page.get_by_role("button", name="Add to the plan").click()
    expect(page.get_by_role("heading", name="Plan before push")).to_be_visible()


def test_the_file_that_opens_the_page_lets_in_once_and_the_token_is_in_no_address(world: World) -> None:
    assert world.file.startswith("file:///")
    with opened(world.browser) as stranger:
        page = stranger.new_page()
        page.goto(world.file)
        expect(page.get_by_text("That is not the code, or it has been used.")).to_be_visible()
        assert page.url == f"{world.url}enter"
        page.goto(world.url)
        expect(page.get_by_role("heading", name="One-time code")).to_be_visible()


def test_two_edits_are_planned_signed_and_pushed_and_taken_back(world: World, page: Page) -> None:
    was = world.mtu("b")
    change(page, "b", "More", "MTU", "1400")
    change(page, "c", "", "Description", "<b>the cellar</b>")
    expect(page.get_by_text("2 files")).to_be_visible()
    page.get_by_text("2 files").click()
    expect(page.locator(".diff")).to_contain_text("+mtu = 1400")
    assert world.mtu("b") == was, "nothing is done before"
    commit = world.signs(page)
    assert world.mtu("b") == 1400
    assert 'description = "<b>the cellar</b>"' in world.desk.git("show", "HEAD:peers/c.toml")
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("listitem").filter(has_text=commit[:10])).to_contain_text("signed by anna@example.org")
    page.get_by_role("button", name=f"Take this back {commit[:10]}").click()
    page.get_by_text("2 files").click()
    expect(page.locator(".diff")).to_contain_text("-mtu = 1400")
    world.signs(page)
    assert world.mtu("b") == was
    assert world.desk.git("rev-parse", "HEAD~1") == commit, "it is a new commit"


def test_without_script_the_same_is_done_by_plain_forms(world: World) -> None:
    with opened(world.browser, like=world.window, script=False) as window:
        page = world.at("/", window)
        was = world.mtu("c")
        change(page, "c", "More", "MTU", "1380")
        change(page, "b", "", "Description", "by hand")
        world.signs(page)
        assert world.mtu("c") == 1380 != was
        page.get_by_role("link", name="Mesh", exact=True).first.click()
        page.get_by_role("searchbox").fill("by hand")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("1 of 4 peers")).to_be_visible()


def test_the_key_of_a_phone_is_shown_once_as_a_code_and_as_a_file(world: World, page: Page, tmp_path: Path) -> None:
    page.get_by_role("rowheader").get_by_role("link", name="phone").click()
    page.get_by_role("link", name="Config and QR code").click()
    page.get_by_role("button", name="Make a new key").click()
    page.get_by_role("button", name="Show QR code and config once").click()
    expect(page.get_by_role("img", name="QR code of the config")).to_be_visible()
    config = page.locator("pre").inner_text()
    [private] = PRIVATE.findall(config)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download .conf").click()
    assert download.value.suggested_filename == "phone.conf"
    download.value.save_as(tmp_path / "phone.conf")
    assert (tmp_path / "phone.conf").read_text().strip() == config.strip()
    page.get_by_role("link", name="phone", exact=True).click()
    with suppress(Error):  # the browser has kept nothing that it could show
        page.go_back()
    expect(page.get_by_text(private)).to_have_count(0)
    page.goto(f"{world.url}peer/phone/export")
    page.get_by_role("button", name="Show the config").click()
    expect(page.get_by_text("The config has a placeholder for the private key.")).to_be_visible()
    expect(page.get_by_text(private)).to_have_count(0)


def test_the_search_narrows_the_table_while_it_is_typed(page: Page) -> None:
    page.get_by_role("searchbox").press_sequentially("phone")
    expect(page.get_by_text("1 of 4 peers")).to_be_visible()
    expect(page.get_by_role("rowheader")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"[?&]q=phone\b"))
    page.reload()
    expect(page.get_by_text("1 of 4 peers")).to_be_visible()


def test_the_language_is_chosen_on_the_page_and_stays(world: World) -> None:
    with opened(world.browser, like=world.window) as window:
        page = world.at("/peer/b/edit?toml", window)
        page.get_by_role("link", name="中文").click()
        expect(page.get_by_role("heading", name="编辑 b")).to_be_visible()
        assert page.url == f"{world.url}peer/b/edit?toml"
        page.get_by_role("link", name="历史").click()
        expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
        page.get_by_role("link", name="English").click()
        expect(page.get_by_role("heading", name="History")).to_be_visible()


@pytest.fixture(scope="module")
def elsewhere(world: World) -> Iterator[dict[str, str]]:
    """A page of another origin with a form for ours: another port of this machine, another site, a file."""
    node = world.mesh.nodes["a"]
    folder = node.path(f"{HOME}/elsewhere")
    folder.mkdir()
    (folder / "index.html").write_text(ATTACK.format(url=world.url))
    program = [sys.executable, "-m", "http.server", str(OTHER), "--bind", "127.0.0.1"]
    process = node.popen(program, cwd=f"{HOME}/elsewhere")
    until(lambda: f":{OTHER} " in node.run(["ss", "-Hltn"]).stdout, 60)
    yield {
        "another port": f"http://127.0.0.1:{OTHER}/",
        "another site": f"http://localhost:{OTHER}/",
        "a file": f"file://{HOME}/elsewhere/index.html",
    }
    process.kill()


@pytest.mark.parametrize("where", ["another port", "another site", "a file"])
def test_a_form_of_another_page_in_the_same_browser_changes_nothing(
    world: World, page: Page, elsewhere: dict[str, str], where: str
) -> None:
    attack = world.window.new_page()
    attack.goto(elsewhere[where])
    assert attack.evaluate(FETCH, f"{world.url}peer/c/remove") == "refused"
    framed = attack.frame_locator("iframe")
    assert framed.get_by_role("link", name="Edit").count() == 0, "it is in no frame of another page"
    attack.get_by_role("button", name="a prize").click()
    expect(attack.get_by_text("this form was not sent by this page")).to_be_visible()
    attack.close()
    page.goto(f"{world.url}plan")
    expect(page.get_by_text(EMPTY)).to_be_visible()


@pytest.mark.parametrize("where", ["another site", "a file"])
def test_a_link_of_another_site_finds_nobody_who_has_entered(
    world: World, elsewhere: dict[str, str], where: str
) -> None:
    """The cookie stays at home (SameSite=Strict), whatever else stands against a request."""
    with world.window.new_page() as page:
        page.goto(elsewhere[where])
        page.get_by_role("link", name="look").click()
        expect(page.get_by_role("heading", name="One-time code")).to_be_visible()


def test_a_script_in_a_page_would_neither_run_nor_reach_another(page: Page, elsewhere: dict[str, str]) -> None:
    assert page.evaluate(INJECTED, elsewhere["another port"]) == [False, False]
