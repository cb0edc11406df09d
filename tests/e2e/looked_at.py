"""What is wrong with a page as a browser shows it: by axe-core, by its width, and by where the focus goes."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrs import frozen
from playwright.sync_api import Page

from e2e.chromium import DESKTOP, PHONE

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
RUN = """() => axe.run({preload: false, resultTypes: ['violations'], selectors: false})
  .then(found => found.violations.map(one => [one.id, one.nodes.map(node => node.html)]))"""
LOOKS = {"en": {"desktop": "light", "phone": "dark"}, "zh": {"desktop": "dark", "phone": "light"}}
"""By language, how each size of a page is looked at: both languages together see it in all four ways."""
WIDTH = "[document.documentElement.scrollWidth, innerWidth]"
CUT = """[...document.querySelectorAll('main :is(a, p, button, label, dt, dd, th, td, li, h1, h2, h3, summary)')]
  .filter(one => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1
         && !one.closest('.scroll, pre, .hidden-words')).map(one => one.outerHTML.slice(0, 200))"""
FOLDED = "document.querySelectorAll('details').forEach(one => one.open = true)"
FOCUS = """(() => {
  const one = document.activeElement, style = getComputedStyle(one), place = one.getBoundingClientRect();
  const inside = place.bottom > 0 && place.right > 0 && place.top < innerHeight && place.left < innerWidth;
  const every = [...document.querySelectorAll('*')];
  return [one === document.body ? -1 : every.indexOf(one), one.innerText ?? one.textContent, one.id,
          style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && inside && place.width > 0];
})()"""
PICTURES = os.environ.get("MESH_SYNC_SCREENSHOTS", "")
"""A folder for pictures of all pages; none are made without."""


def faults(page: Page, name: str, language: str) -> list[str]:
    """On a desktop and on a phone, one light and one dark: what axe-core finds, and what is cut or too wide."""
    page.wait_for_load_state()
    page.evaluate(FOLDED)
    page.evaluate(AXE)
    found: list[str] = []
    for size, (width, height) in {"desktop": DESKTOP, "phone": PHONE}.items():
        scheme = LOOKS[language][size]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        where = f"{name}, {language}, {size}, {scheme}"
        violations: list[Any] = page.evaluate(RUN)
        found += [f"{where}: {rule}: {nodes[:3]}" for rule, nodes in violations]
        wide, window = page.evaluate(WIDTH)
        found += [f"{where}: {wide} wide in a window of {window}"] if wide > window else []
        found += [f"{where}: cut: {one}" for one in page.evaluate(CUT)]
        for shown in ("light", "dark") if PICTURES else ():
            page.emulate_media(color_scheme="dark" if shown == "dark" else "light")
            page.screenshot(path=Path(PICTURES) / f"{name}-{language}-{size}-{shown}.png", full_page=True)
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    return found


def press(page: Page, selector: str = "form:has(button.main)") -> None:
    """The button of a form, whatever it says in whichever language; the answer is there afterwards."""
    with page.expect_navigation():
        page.locator(selector).locator("button").last.click()


@frozen
class Focus:
    """What has the focus: its number in the page (-1: nothing), its text and id, and whether that is seen."""

    number: int
    text: str
    id: str
    is_visible: bool


def tab(page: Page) -> Focus:
    """Press Tab once the page is there with its styles; where that leads."""
    page.wait_for_load_state()
    page.keyboard.press("Tab")
    number, text, id_, is_visible = page.evaluate(FOCUS)
    return Focus(number, " ".join((text or "").split()), id_, is_visible)


def tab_to(page: Page, text: str = "", *, id: str = "", most: int = 200) -> None:
    """Press Tab until what has this text or id has the focus; each step on the way has to be seen."""
    for _ in range(most):
        at = tab(page)
        assert at.is_visible, f"the focus is not seen: {at}"
        if (text and at.text == text) or (id and at.id == id):
            return
    raise AssertionError(f"{text or id}: not reached by {most} times Tab")
