"""The systemd units: valid, explained, tightly confined, and in step with the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mesh_sync.errors import Locked, Unreachable
from mesh_sync.node.config import DEFAULT_CONFIG, Node, Paths, Repository, Trust
from mesh_sync.system.run import DEADLINE
from mesh_sync.units.set_up import firewall_hint
from mesh_watchdog.news.serve import AT_ONCE
from mesh_watchdog.news.served import MEMORY
from mesh_watchdog.settings import Settings

UNITS = sorted((Path(__file__).parents[2] / "systemd").glob("mesh-*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
SYNC = [unit for unit in SERVICES if unit.name.startswith("mesh-sync")]
WATCHDOGS = [unit for unit in SERVICES if unit.name.startswith("mesh-watchdog")]
BOOT, PASS = SYNC
ONCE, DAEMON = WATCHDOGS
SERVING, OPENING = "CAP_NET_BIND_SERVICE", "CAP_NET_RAW"
MAX_EXPOSURE = 30
"""Tenths, as `systemd-analyze security --threshold` counts."""


def systemd_analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "info", "LC_ALL": "C"}
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)], capture_output=True, text=True, env=environment
    )


def values(unit: Path, key: str) -> list[str]:
    lines = re.findall(rf"(?m)^{key}=(.*)$", unit.read_text())
    return " ".join(lines).split()


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("ufw", "ufw allow 51821/udp"),
        ("firewall-cmd", "firewall-cmd --permanent --add-port=51821/udp && firewall-cmd --reload"),
        ("nft", "nft insert rule inet filter input udp dport 51821 accept"),
        ("nft, whose table is not there", ""),
    ],
)
def test_the_firewall_that_is_here_is_told_how_to_let_peers_in(
    program: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / program.partition(",")[0]
    file.write_text(f"#!/bin/sh\nexit {'1' if ',' in program else '0'}\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = firewall_hint(51821)
    assert said.startswith("peers reach this node at UDP port 51821; a firewall has to let that in")
    assert said.partition(", on this machine by: ")[2] == command


def test_systemd_finds_nothing_wrong_with_them(tmp_path: Path) -> None:
    for unit in UNITS:
        # The program need not be installed for this.
        text = re.sub(r"(?m)^(Exec\w+)=mesh-\w+", rf"\1={sys.executable}", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    result = systemd_analyze("verify", "--man=no", *sorted(tmp_path.iterdir()))
    about_ours = [line for line in result.stderr.splitlines() if "mesh-" in line]
    assert (about_ours, result.returncode) == ([], 0), result.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_is_confined_as_far_as_its_job_allows(unit: Path) -> None:
    result = systemd_analyze("security", "--offline=true", f"--threshold={MAX_EXPOSURE}", unit)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_line_is_explained(unit: Path) -> None:
    """A run of settings stands directly under a comment; Description and Documentation speak for themselves."""
    above = ""
    for line in unit.read_text().splitlines():
        if re.match(r"(?!Description|Documentation)\w+=", line):
            assert above.startswith("#") or "=" in above, f"{unit.name}: {line}"
            assert not above.startswith(("Description", "Documentation")), f"{unit.name}: {line}"
        above = line


@pytest.mark.parametrize("key", ["CapabilityBoundingSet", "RestrictAddressFamilies", "SystemCallFilter"])
@pytest.mark.parametrize("services", [SYNC, WATCHDOGS], ids=["mesh-sync", "mesh-watchdog"])
def test_both_services_have_the_same_rights(services: list[Path], key: str) -> None:
    first, *others = ([right for right in values(unit, key) if right != SERVING] for unit in services)
    assert first
    assert all(other == first for other in others)


def test_only_the_daemon_may_serve_names() -> None:
    assert [unit for unit in SERVICES if SERVING in values(unit, "CapabilityBoundingSet")] == [DAEMON]


def sandbox(unit: Path) -> set[str]:
    """What follows NoNewPrivileges, where both units take everything away that they do not need."""
    _, _, rest = unit.read_text().partition("NoNewPrivileges=yes\n")
    return {line for line in rest.partition("[Install]")[0].splitlines() if "=" in line and not line.startswith("#")}


def test_a_pass_of_the_watchdog_is_confined_like_the_daemon() -> None:
    assert sandbox(ONCE) == sandbox(DAEMON) != set()


def test_the_watchdog_has_no_right_that_mesh_sync_lacks_but_what_its_sockets_take() -> None:
    for key in ("RestrictAddressFamilies", "SystemCallFilter"):
        assert set(values(DAEMON, key)) <= set(values(PASS, key))
    more = set(values(DAEMON, "CapabilityBoundingSet")) - set(values(PASS, "CapabilityBoundingSet"))
    assert more == {SERVING, OPENING}
    assert values(DAEMON, "ReadWritePaths") == []


def test_the_daemon_and_the_timer_exclude_each_other() -> None:
    [timer] = (unit for unit in UNITS if unit.name == "mesh-watchdog-once.timer")
    assert values(DAEMON, "Conflicts") == [timer.name]
    assert values(timer, "Conflicts") == [DAEMON.name]


def test_systemd_is_pinged_well_within_its_patience() -> None:
    """A reading of the interface takes 10 s at the most, and the daemon rests at most idle_interval between two."""
    [patience] = values(DAEMON, "WatchdogSec")
    assert patience == "1min"
    assert values(DAEMON, "Type") == ["notify"]
    assert Settings().idle_interval + DEADLINE < 30


def test_only_an_unreachable_remote_and_a_held_lock_are_no_failure() -> None:
    assert values(PASS, "SuccessExitStatus") == [str(Unreachable.exit_code), str(Locked.exit_code)]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_the_default_paths_of_a_node_are_open_to_it(unit: Path) -> None:
    paths = Paths()
    assert str(paths.state.relative_to("/var/lib")) in values(unit, "StateDirectory")
    assert str(paths.run.relative_to("/run")) in values(unit, "RuntimeDirectory")
    if unit in SYNC:
        assert str(paths.wireguard) in values(unit, "ReadWritePaths")


def test_neither_fails_where_it_has_nothing_to_do() -> None:
    for unit in SERVICES:
        assert values(unit, "ConditionPathExists") == [str(DEFAULT_CONFIG)]


def test_the_boot_unit_never_fails_so_that_stopping_it_takes_down_whatever_a_pass_has_brought_up() -> None:
    assert values(BOOT, "ExecStart") == ["-mesh-sync", "up"]
    assert values(BOOT, "ExecStop") == ["mesh-sync", "down"]


@pytest.mark.parametrize("unit", [PASS, ONCE], ids=lambda unit: unit.name)
def test_what_runs_every_minute_leaves_no_line_in_the_journal_when_nothing_happens(unit: Path) -> None:
    assert values(unit, "LogLevelMax") == ["notice"]


def test_a_pass_begins_when_the_watchdog_writes_news() -> None:
    [path] = (unit for unit in UNITS if unit.suffix == ".path")
    node = Node(name="aws", repository=Repository(urls=("x",)), trust=Trust(mode="none"))
    assert values(path, "PathChanged") == [str(node.news_file.parent)]
    assert values(path, "Unit") == [PASS.name]


def test_the_watchdog_has_room_for_the_programs_that_serve_peers() -> None:
    [most] = values(DAEMON, "MemoryMax")
    assert int(most.removesuffix("M")) >= 128 + 2 * AT_ONCE * MEMORY
