"""Every page of `mesh-sync web` in Debian's Chromium, in both languages: axe-core, narrow windows, the keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Page, expect

from e2e.chromium import PATIENCE, chromium, enter, opened
from e2e.looked_at import faults, press, tab, tab_to
from e2e.worst_lists import LONG, crowd, small
from lab import Lab
from mesh_sync.web.view import LANGUAGE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

LANGUAGES = ("en", "zh")
expect.set_options(timeout=PATIENCE * 1000)


class World:
    """A browser, and the pages of two lists that it has entered."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        node = lab.operator
        self.browser = stack.enter_context(chromium(node))
        self.window = opened(self.browser)
        self.urls: dict[str, str] = {}
        for name, desk in {"small": small(node), "crowd": crowd(node)}.items():
            self.urls[name], file = stack.enter_context(desk.page())
            enter(self.window, self.urls[name], file)
        self.tab = self.window.new_page()
        """One for all tests: a new one takes as long as to look at a page."""

    def address(self, path: str) -> str:
        """Of a page: that of the small list, or, after `crowd:`, of the large one."""
        name, _, rest = path.rpartition(":")
        return self.urls[name or "small"].rstrip("/") + rest

    def speak(self, language: str) -> None:
        """Have all pages in a language, as one who has chosen it."""
        self.window.add_cookies([{"name": LANGUAGE, "value": language, "url": self.urls["small"]}])


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(lab, stack)


@pytest.fixture
def page(world: World) -> Page:
    return world.tab


def edited(page: Page, world: World) -> None:
    """The plan of some edits: a peer that leaves, a relay that is none any more, an admin more."""
    page.goto(world.address("/plan"))
    if page.locator('form[action="/plan/drop"]').count():
        return
    page.goto(world.address("/peer/azure"))
    press(page, 'form[action$="/remove"]')
    for name, field, value in (("office", "endpoint", ""), (LONG, "description", "W" * 200)):
        page.goto(world.address(f"/peer/{name}/edit"))
        page.locator(f'[name="{field}"]').fill(value)
        press(page)
    page.goto(world.address("/signers"))
    page.locator("#principal").fill("otto@example.org")
    page.locator("#key").fill("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJd3eX2jNTaFg8sSJ1nBsDfZl0Cw9BLxqPlsdFvCmZxB")
    press(page)


def other(page: Page, world: World) -> None:
    """A plan that is another one by the time that it is to be pushed."""
    edited(page, world)
    with page.context.new_page() as second:
        second.goto(world.address("/peer/cabin/edit"))
        second.locator('[name="owner"]').fill(f"someone else {second.locator('html').get_attribute('lang')}")
        press(second)
    for box in page.locator('[name="allow"]').all():
        box.check()
    press(page)
    expect(page.get_by_role("alert").first).to_be_visible()


def pushed(page: Page, world: World) -> None:
    """What came of a push; the page goes on to show that of the last one."""
    page.goto(world.address("/pushing"))
    if page.url.endswith("/pushing"):
        return
    edited(page, world)
    for box in page.locator('[name="allow"]').all():
        box.check()
    press(page)
    expect(page.locator("#pushing .note.good")).to_be_visible()


def refused(page: Page, world: World) -> None:
    page.goto(world.address("/peer/cabin/edit"))
    page.locator('[name="addresses"]').fill(f"10.0.0.300\n{'1' * 90}")
    press(page)
    expect(page.get_by_role("alert")).to_be_visible()


def placeholder(page: Page, world: World) -> None:
    page.goto(world.address("/peer/phone/export"))
    press(page, 'form[action$="/export"]')
    expect(page.locator("main pre")).to_be_visible()


def key_made(page: Page, world: World) -> None:
    page.goto(world.address("/peer/phone/export"))
    if page.locator('form[action$="/key"]').count():  # else there is one already, which has not been shown
        press(page, 'form[action$="/key"]')
    expect(page.locator("main button.main")).to_be_visible()


def key_shown(page: Page, world: World) -> None:
    key_made(page, world)
    press(page, 'form[action$="/export"]')
    expect(page.locator(".code svg")).to_be_visible()


def mistaken(page: Page, world: World) -> None:
    """The plan of an edit to a list with errors."""
    page.goto(world.address("crowd:/plan"))
    if not page.locator('form[action="/plan/drop"]').count():
        page.goto(world.address("crowd:/peer/node1/edit"))
        page.locator('[name="owner"]').fill("someone")
        press(page)


PATHS = {
    "mesh": "/",
    "mesh-of-none": "/?q=nothing-is-like-this",
    "mesh-of-60": "crowd:/",
    "peer": f"/peer/{LONG}",
    "peer-unmanaged": "/peer/phone",
    "peer-wrong": "crowd:/peer/mistaken",
    "edit": f"/peer/{LONG}/edit",
    "toml": f"/peer/{LONG}/edit?toml",
    "toml-wrong": "crowd:/peer/torn/edit",
    "new": "/new",
    "export": "/peer/phone/export",
    "settings": "/settings",
    "signers": "/signers",
    "secrets": "/secrets",
    "invite": "/invite",
    "history": "/history",
    "problem": "/peer/there-is-none",
    "missing": "/nowhere",
}
WAYS: dict[str, Callable[[Page, World], None]] = {
    "edit-refused": refused, "plan": edited, "plan-is-another": other, "pushed": pushed, "plan-with-errors": mistaken,
    "export-placeholder": placeholder, "export-key": key_made, "export-shown": key_shown,
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", [*PATHS, *WAYS, "plan-empty"])
def test_a_page_has_no_fault(world: World, page: Page, name: str, language: str) -> None:
    world.speak(language)
    if name in WAYS:
        WAYS[name](page, world)
    elif name == "plan-empty":
        page.goto(world.address("/plan"))
        if page.locator('form[action="/plan/drop"]').count():
            press(page, 'form[action="/plan/drop"]:not(details form)')
    else:
        page.goto(world.address(PATHS[name]))
    expect(page.locator('[hx-trigger^="load"]')).to_have_count(0)
    assert (page.locator("html").get_attribute("lang") or "").startswith(language)
    assert not faults(page, name, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_that_asks_for_the_code_has_no_fault(world: World, language: str) -> None:
    with opened(world.browser, language=language) as window:
        page = window.new_page()
        page.goto(world.address("/"))
        expect(page.locator("#token")).to_be_focused()
        assert (page.locator("html").get_attribute("lang") or "").startswith(language)
        assert not faults(page, "enter", language)


def test_a_peer_is_edited_and_the_edit_planned_by_keyboard_alone(world: World, page: Page) -> None:
    world.speak("en")
    page.goto(world.address("/"))
    tab_to(page, "Skip to the content")
    page.keyboard.press("Enter")
    tab_to(page, "Show")
    tab_to(page, "behind-nat")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="behind-nat")).to_be_visible()
    tab_to(page, "Edit")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Edit behind-nat")).to_be_visible()
    tab_to(page, id="subnets")
    page.keyboard.type("192.168.77.0/24")
    tab_to(page, "Add to the plan")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Plan before push")).to_be_visible()
    tab_to(page, "Node by node")
    page.keyboard.press("Enter")
    expect(page.get_by_text("192.168.77.0/24").first).to_be_visible()


@pytest.mark.parametrize("path", ["/", "crowd:/", f"/peer/{LONG}/edit", "/settings", "/plan"])
def test_the_keyboard_goes_round_each_page_and_is_held_nowhere(world: World, page: Page, path: str) -> None:
    page.goto(world.address(path))
    expect(page.locator('[hx-trigger^="load"]')).to_have_count(0)
    seen: list[int] = []
    for _ in range(1000):
        at = tab(page)
        if at.number < 0 or (seen and at.number == seen[0]):
            break
        assert at.is_visible, at
        assert at.number not in seen, f"it goes in a circle: {at}"
        seen.append(at.number)
    else:
        raise AssertionError("there is no end")
    last = page.locator("a, button, [tabindex='0'], summary").last
    assert last.evaluate("one => [...document.querySelectorAll('*')].indexOf(one)") == seen[-1], "it reached the end"
