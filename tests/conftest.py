"""The rules for all tests: long files begin first; e2e tests are skipped only where the kernel forbids namespaces,
loudly, and never in CI.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

REQUIRED = os.environ.get("CI") == "true" or os.environ.get("MESH_SYNC_REQUIRE_E2E") == "1"

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")  # how long an example takes says how busy the machine is

# Started in the background of a shell, or by nohup, which keep them from it, and so from every program of the tests.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


LONG = (
    "preshared", "confirm", "rotate_key", "rotate_key_overtaken", "confirm_not_fooled", "preshared_begin",
    "confirm_killed",
    "wireguard_facts", "watchdog",  # short ones: a worker takes a second file when its first has one or two tests
    "web_looks", "web_browser", "news", "fleet", "hub", "watchdog_crowd", "rollout",
    "relay", "birthday", "port_mapping", "punch", "exit", "birthday_halves", "mesh_dns", "mesh_calls", "bombs",
    "crashes_killed", "changes", "rollback", "watchdog_leaves_alone", "join_signed", "watchdog_survives",
    "page_disaster", "page_kubernetes", "page_moving",
    "network_around", "doctor", "syncconf_traps", "trust", "rotate_key_killed", "confirm_interrupted", "git_trouble",
    "signers", "drift", "crashes", "watchdog_names", "watchdog_moves", "changes_of_defaults", "mixed",
    "watchdog_uplink", "underlay", "from_nothing", "mtu", "clock", "names", "machines", "lab_nats", "mesh_names",
    "git_slow", "refused", "git_copies", "trust_tricks", "privileges", "secrets", "git_gone", "own_settings", "lab",
    "lab_servers",
)  # fmt: skip
"""The e2e tests by file, the longest first: so that none of them is left alone at the end of a run."""


PATIENCE = 300
"""Seconds for an e2e test that sets no limit of its own: a busy machine is no fault of the code."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {f"e2e/test_{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get("/".join(item.path.parts[-2:]), len(LONG)))
    for item in items:
        if item.get_closest_marker("e2e") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(PATIENCE))


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
