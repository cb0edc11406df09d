"""The rule for e2e tests: skipped only where the kernel forbids namespaces, loudly, and never in CI."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Generator

import pytest

REQUIRED = os.environ.get("CI") == "true" or os.environ.get("MESH_SYNC_REQUIRE_E2E") == "1"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell that keeps Ctrl-C from it, and so from every program that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def why_not() -> str | None:
    """Why no lab can be made here, or None when one can."""
    from lab import available

    return available()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("e2e") and (reason := why_not()):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if REQUIRED and report.skipped and item.get_closest_marker("e2e") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"an e2e test must not be skipped here: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [report for report in terminalreporter.getreports("skipped") if "e2e" in report.keywords]
    if skipped:
        terminalreporter.section(f"{len(skipped)} e2e TESTS WERE SKIPPED", sep="!", red=True, bold=True)
        terminalreporter.write_line("Nothing was tested on real WireGuard; the reason is in the summary below.")
