"""The picture of the mesh in Debian's Chromium: who is dragged, who makes room, and all are links."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from e2e.chromium import PATIENCE, chromium, enter, opened
from e2e.worst_lists import LONG, small
from lab import Lab
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Places = dict[str, tuple[float, float]]
PLACES = """Object.fromEntries([...document.querySelectorAll('.picture a')].map(peer => {
  const circle = peer.querySelector('circle').getBoundingClientRect();
  return [peer.getAttribute('href').split('/').pop(), [circle.x + circle.width / 2, circle.y + circle.height / 2]];
}))"""
LOOSE = """[...document.querySelectorAll('.picture svg[role] > line')].filter(line => [1, 2].some(end => {
  const [x, y] = ['x', 'y'].map(axis => line[axis + end].baseVal.value);
  const at = new DOMPoint(x, y).matrixTransform(line.getScreenCTM());
  return ![...document.querySelectorAll('.picture a circle')].some(peer => {
    const box = peer.getBoundingClientRect();
    return Math.hypot(box.x + box.width / 2 - at.x, box.y + box.height / 2 - at.y) < 1;
  });
})).map(line => line.outerHTML)"""
"""The lines that do not end at peers."""
OUTSIDE = """(() => {
  const all = document.querySelector('.picture svg[role]').getBoundingClientRect();
  return [...document.querySelectorAll('.picture a')].filter(peer => {
    const box = peer.getBoundingClientRect();
    return box.left < all.left - 1 || box.right > all.right + 1 || box.top < all.top - 1 || box.bottom > all.bottom + 1;
  }).map(peer => peer.textContent);
})()"""
expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def entered(lab: Lab) -> Iterator[tuple[BrowserContext, str]]:
    """A window that has entered the page of a small mesh, and its address."""
    with ExitStack() as stack:
        window = opened(stack.enter_context(chromium(lab.operator)))
        url, file = stack.enter_context(small(lab.operator).page())
        enter(window, url, file)
        yield window, url


@pytest.fixture
def page(entered: tuple[BrowserContext, str]) -> Iterator[Page]:
    """The mesh, with its picture in sight. No script of it fails."""
    window, url = entered
    problems: list[str] = []
    with window.new_page() as page:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        page.goto(url)
        expect(page.locator('[hx-trigger^="load"]')).to_have_count(0)
        page.locator(".picture .scroll").scroll_into_view_if_needed()
        yield page
    assert not problems


def places(page: Page) -> Places:
    """Where each peer is, in CSS pixels of the window."""
    found: Places = page.evaluate(PLACES)
    return found


def settled(page: Page) -> Places:
    """The same, once nothing moves."""
    found: list[Places] = []

    def rests() -> bool:
        found.append(places(page))
        page.wait_for_timeout(100)
        return len(found) > 1 and found[-1] == found[-2]

    until(rests, PATIENCE)
    return found[-1]


def take(page: Page, name: str, to: tuple[float, float]) -> None:
    """Take a peer somewhere, and do not let go."""
    page.mouse.move(*places(page)[name])
    page.mouse.down()
    page.mouse.move(*to, steps=4)


def moved(before: Places, after: Places, name: str) -> float:
    return math.dist(before[name], after[name])


def test_a_peer_is_dragged_and_those_who_are_near_make_room(page: Page) -> None:
    before = places(page)
    take(page, "azure", before["cabin"])
    until(lambda: moved(before, places(page), "cabin") > 10, PATIENCE)
    page.mouse.up()
    after = settled(page)
    assert math.dist(after["azure"], before["cabin"]) < 2, "it stays where it was left"
    assert math.dist(after["azure"], after["cabin"]) > 50
    assert [name for name in before if moved(before, after, name) > 2] == ["azure", "cabin"], "the others stay"
    assert not page.evaluate(LOOSE)
    take(page, "azure", before["azure"])
    page.mouse.up()
    assert moved(before, settled(page), "cabin") < 5, "it goes back to its place"


def test_who_is_behind_a_relay_goes_along_with_it(page: Page) -> None:
    before = places(page)
    x, y = before[LONG]
    take(page, LONG, (x - 60, y + 160))
    page.mouse.up()
    assert moved(before, settled(page), "phone") > 60
    assert not page.evaluate(LOOSE)


def test_a_drag_follows_no_link_but_a_click_and_enter_do(page: Page) -> None:
    url = page.url
    x, y = places(page)["azure"]
    take(page, "azure", (x + 40, y + 10))
    page.mouse.up()
    settled(page)
    assert page.url == url
    page.locator('.picture a[href="/peer/azure"]').focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="azure")).to_be_visible()
    page.go_back()
    page.locator(".picture .scroll").scroll_into_view_if_needed()
    page.mouse.click(*places(page)["azure"])
    expect(page.get_by_role("heading", name="azure")).to_be_visible()


def test_nothing_is_dragged_out_of_the_picture(page: Page) -> None:
    for name, to in (("azure", (1279.0, 400.0)), (LONG, (700.0, 1.0)), ("cabin", (1.0, 799.0))):
        take(page, name, to)
        page.mouse.up()
        settled(page)
    assert not page.evaluate(OUTSIDE)
    assert not page.evaluate(LOOSE)


def test_the_picture_that_a_search_brings_can_be_dragged_too(page: Page) -> None:
    x, y = places(page)["azure"]
    take(page, "azure", (x + 30, y))
    page.get_by_role("searchbox").press_sequentially("home")  # with a peer in hand
    expect(page.locator(".picture a")).to_have_count(2)
    page.mouse.move(1, 1)
    page.mouse.up()
    page.locator(".picture .scroll").scroll_into_view_if_needed()
    before = places(page)
    x, y = before["cabin"]
    take(page, "cabin", (x + 60, y))
    page.mouse.up()
    assert moved(before, settled(page), "cabin") > 40
    assert not page.evaluate(LOOSE)


def test_for_who_wants_less_motion_the_others_settle_at_once(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    before = places(page)
    take(page, "azure", before["cabin"])
    page.wait_for_timeout(300)
    held = places(page)
    assert moved(before, held, "azure") > 100
    assert moved(before, held, "cabin") == 0
    page.mouse.up()
    after = places(page)
    assert math.dist(after["azure"], after["cabin"]) > 50
    page.wait_for_timeout(300)
    assert places(page) == after


def test_without_script_the_picture_is_as_it_was_drawn_and_its_peers_are_links(
    entered: tuple[BrowserContext, str],
) -> None:
    window, url = entered
    assert window.browser
    with opened(window.browser, like=window, script=False) as still, still.new_page() as page:
        page.goto(url)
        page.locator('.picture a[href="/peer/azure"] circle').click()
        expect(page.get_by_role("heading", name="azure")).to_be_visible()
