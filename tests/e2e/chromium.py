"""Debian's Chromium, headless, on a host of the lab: in its network and its `/run`, and gone when the host is.

Driven by playwright, which speaks to it through a pipe: there is no port that anything else could reach.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from lab.node import Node
from lab.tree import ENVIRONMENT
from lab.waiting import until

PATIENCE = 120.0
"""Seconds for one step of a browser; on a machine with time, most take a tenth of one."""
DESKTOP, PHONE = (1280, 800), (390, 844)
"""Sizes of a window, in CSS pixels."""

POLITE = ("setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice")
"""As root, Chromium would put itself before all that runs beside it."""


@contextmanager
def chromium(node: Node) -> Iterator[Browser]:
    """A browser on the node. When it has ended, none of its processes is there."""
    if not shutil.which("chromium"):
        pytest.skip("not installed: chromium (script/setup installs it on Debian; Ubuntu has it as a snap only)")
    program = node.directory / "chromium"
    program.write_text(f'#!/bin/sh\nexec {shlex.join([*node.tree.enter, *POLITE])} chromium "$@"\n')
    program.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, timeout=PATIENCE * 1000, env={**ENVIRONMENT}, args=["--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()
    until(lambda: node.run(["pgrep", "chromium"], check=False).returncode == 1, 30, what="the end of Chromium")


def opened(
    browser: Browser, *, like: BrowserContext | None = None, script: bool = True, language: str = "en"
) -> BrowserContext:
    """A browser's window; ``like``: with the cookies of another; ``language``: which pages are asked for."""
    width, height = DESKTOP
    context = browser.new_context(
        java_script_enabled=script, storage_state=like.storage_state() if like else None, locale=language,
        viewport={"width": width, "height": height},
    )  # fmt: skip
    context.set_default_timeout(PATIENCE * 1000)
    return context


def enter(window: BrowserContext, url: str, file: str) -> None:
    """Have a window enter the page at an address by the file that opens it."""
    with window.new_page() as page:
        page.goto(file)
        page.wait_for_url(url)
