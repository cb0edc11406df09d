"""A run ends in the middle of a trial: told to stop, killed at any step, without power. Nothing stays half done."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.mesh_on_trial import GIT_HOST, cover, talking
from lab import Lab
from lab.mesh import Mesh, dump, key_of, now, now_json, status, stranger
from lab.node import Node
from lab.ping import first_answer
from lab.program import Program
from lab.snapshot import whole

pytestmark = pytest.mark.e2e

STATE = "/var/lib/mesh-sync/wg0/state.json"
LONG = {"deadline": 60}
"""Seconds: nobody waits for it, the test ends the run before."""


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    """a and b, up and talking; nobody stands behind c."""
    with Lab() as lab:
        yield talking(lab, confirm=LONG)


def cut_off(mesh: Mesh) -> str:
    """Push a commit that covers the git host, and does some more; return it."""
    cover(mesh, *GIT_HOST)
    mesh.set("a", addresses=["10.0.0.41"], mtu=1300)
    stranger(mesh, "d", 14)
    return mesh.push("bad")


def begun(node: Node) -> Program:
    """A `now` that has applied the new commit and waits for signs of life."""
    run = node.popen(["mesh-sync", "now"])
    deadline = time.monotonic() + 40
    while not applied_on_trial(node):
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return run


def applied_on_trial(node: Node) -> bool:
    state: dict[str, Any] = json.loads(node.path(STATE).read_text())
    return bool(state["trial"]) and state["applied"]["commit"] == state["trial"]["commit"]


def killed(node: Node) -> None:
    run = begun(node)
    run.kill()
    run.communicate(timeout=10)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_puts_the_previous_state_back_first(mesh: Mesh, sent: signal.Signals) -> None:
    a = mesh.nodes["a"]
    good, before = status(a)["commit"], whole(a)
    cut_off(mesh)
    run = begun(a)
    assert whole(a) != before
    began = time.monotonic()
    run.send_signal(sent)
    assert "stopped" in run.communicate(timeout=50)[0]
    assert run.returncode == 130
    assert time.monotonic() - began < 30, "it does not wait for the deadline, 60 s"
    assert whole(a) == before
    told = status(a)
    assert (told["commit"], told["trial"], told["refused_commits"]) == (good, None, [])


def test_killed_in_a_bad_trial_the_next_run_gets_out_of_it_and_judges(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    before = whole(a)
    bad = cut_off(mesh)
    killed(a)
    assert status(a)["trial"]["attempt"] == 1
    mesh.configure(a, confirm={"deadline": 5}, repository={"urls": [mesh.url], "deadline": 3})
    found = now_json(a, exit_code=5, timeout=90)
    assert f"rolled back commit {bad[:10]}" in found["message"]
    assert whole(a) == before
    assert status(a)["refused_commits"] == [bad]


def test_killed_in_a_good_trial_the_next_run_confirms_it(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    added = stranger(mesh, "d", 14)
    commit = mesh.push("good")
    killed_at_the_question(a)
    assert added in dump(a)
    now(a)
    told = status(a)
    assert (told["commit"], told["trial"], told["history"][-1]["ended"]) == (commit, None, "confirmed")


def killed_at_the_question(node: Node) -> None:
    """Kill a run that has applied and asks for the second time."""
    script = """import os, signal
from mesh_sync.reconcile import health
health.watch = lambda *a, **k: signal.raise_signal(signal.SIGKILL)
import sys; sys.argv = ["mesh-sync", "now"]
from mesh_sync.__main__ import main; main()"""
    assert node.run([sys.executable, "-c", script], check=False).returncode == -9


def test_a_commit_that_ends_two_runs_is_not_tried_a_third_time(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    good, before = status(a)["commit"], whole(a)
    stranger(mesh, "d", 14)
    commit = mesh.push("crashes the machine")
    for _ in range(2):
        killed_at_the_question(a)
    found = now_json(a, exit_code=5)
    assert found["message"] == f"commit {commit[:10]} is not tried again: 2 runs ended before it was confirmed"
    assert whole(a) == before
    told = status(a)
    assert (told["commit"], told["trial"], told["refused_commits"]) == (good, None, [commit])
    assert now_json(a, exit_code=5)["changes"] == []
    assert now_json(a, "--retry")["commit"] == commit


def test_after_a_power_cut_the_node_comes_up_with_the_state_before(mesh: Mesh) -> None:
    a, b = mesh.nodes["a"], mesh.nodes["b"]
    good, before = status(a)["commit"], whole(a)
    bad = cut_off(mesh)
    begun(a)
    a.reboot()
    a.run(["mesh-sync", "up"])
    assert whole(a) == before
    assert (status(a)["commit"], status(a)["trial"]["commit"]) == (good, bad)
    first_answer(a, "10.0.0.12")
    mesh.configure(a, confirm={"deadline": 5})
    now(a, exit_code=5, timeout=90)
    assert whole(a) == before
    assert status(a)["refused_commits"] == [bad]
    first_answer(b, "10.0.0.11")


def test_a_first_commit_that_ends_two_runs_leaves_nothing(mesh: Mesh) -> None:
    new = mesh.node("new", 15)
    commit = mesh.push("new")
    for _ in range(2):
        killed_at_the_question(new)
    assert "not tried again" in now_json(new, exit_code=5)["message"]
    assert "wg0" not in new.run(["ip", "-brief", "link"]).stdout
    assert not new.path("/etc/wireguard/wg0.conf").exists()
    done = new.run(["mesh-sync", "up"], check=False)
    assert (done.returncode, "nothing was applied here yet" in done.stderr) == (6, True)
    assert now_json(new, "--retry")["commit"] == commit


def test_the_watchdog_and_down_do_not_mind_an_open_trial(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    cut_off(mesh)
    killed(a)
    a.run(["mesh-watchdog", "once"], timeout=60)
    a.run(["mesh-sync", "down"])
    a.run(["mesh-sync", "up"])
    assert "mtu 1420" in a.run(["ip", "link", "show", "wg0"]).stdout
    assert key_of(mesh.nodes["b"]) in dump(a)
