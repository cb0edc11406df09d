"""A clock that was wrong takes no peer away for good, and lets none in that is out."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from lab import Lab, Node
from lab.mesh import Mesh, dump, now, stranger
from mesh_sync.system.kernel_clock import TIME_ERROR

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def clocked(lab: Lab) -> Mesh:
    """Node a, and three peers that no machine stands behind: one has expired, one will in 2030, one never does."""
    mesh = Mesh(lab)
    mesh.node("a", 21)
    stranger(mesh, "gone", 31, expires=date(2025, 12, 31))
    stranger(mesh, "later", 32, expires=date(2030, 6, 30))
    stranger(mesh, "always", 33)
    mesh.push("three peers")
    return mesh


@pytest.fixture
def a(clocked: Mesh) -> Node:
    """Node a, in sync with that list by a clock that is right and trusted."""
    node = clocked.nodes["a"]
    clocked.configure(node, clock="trusted")
    now(node)
    assert present(node) == {"later", "always"}
    return node


def present(node: Node) -> set[str]:
    """The peers of the interface, by their addresses."""
    names = {"10.0.0.31/32": "gone", "10.0.0.32/32": "later", "10.0.0.33/32": "always"}
    return {names[peer["allowed_ips"]] for key, peer in dump(node).items() if key}


def now_in(node: Node, year: int, kernel: int | None = None) -> dict[str, Any]:
    """`mesh-sync now` on a machine whose clock is in that year.

    ``kernel``: what its kernel answers when it is asked whether anything keeps the clock right; None: what this one
    does.
    """
    answer = ["-f", "-qq", "-o", "/dev/null", "-e", f"inject=adjtimex,clock_adjtime:retval={kernel}"]
    words = [*(["strace", *answer] if kernel is not None else []), "mesh-sync", "now", "--json"]
    done = node.run(["faketime", f"{year}-01-15 12:00:00", *words])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def codes(found: dict[str, Any]) -> list[str]:
    return [trouble["code"] for trouble in found["troubles"]]


def test_a_peer_that_a_clock_of_2040_took_away_is_back_with_the_right_one(a: Node) -> None:
    now_in(a, 2040)
    assert present(a) == {"always"}
    now(a)
    assert present(a) == {"later", "always"}


def test_it_is_back_although_the_bare_copy_was_lost_meanwhile(clocked: Mesh, a: Node) -> None:
    a.run(["mv", "/var/lib/mesh-sync/wg0/repo.git", "/var/lib/mesh-sync/wg0/away.git"])
    now_in(a, 2040)
    assert present(a) == {"always"}
    now(a)
    assert present(a) == {"later", "always"}


def test_a_clock_of_2020_lets_no_peer_in_that_has_expired(a: Node) -> None:
    found = now_in(a, 2020)
    assert codes(found) == ["clock-behind"]
    assert present(a) == {"later", "always"}


def test_a_new_commit_is_judged_again_after_a_clock_of_2040_refused_it(clocked: Mesh, a: Node) -> None:
    clocked.set("a", expires=date(2031, 1, 1))
    commit = clocked.push("a itself expires")
    done = a.run(["faketime", "2040-01-15 12:00:00", "mesh-sync", "now"], check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    now(a)
    found = json.loads(a.run(["mesh-sync", "status", "--json"]).stdout)
    assert found["commit"] == commit
    assert present(a) == {"later", "always"}


@pytest.mark.parametrize("year", [2020, 2040])
def test_a_clock_that_nothing_keeps_right_moves_no_peer_and_that_is_said(clocked: Mesh, a: Node, year: int) -> None:
    clocked.configure(a, clock="kernel")
    found = now_in(a, year, TIME_ERROR)
    assert codes(found) == ["clock-unsure"]
    assert "later (expires 2030-07-01 00:00 UTC)" in found["troubles"][0]["text"]
    assert present(a) == {"later", "always"}
    assert codes(json.loads(a.run(["mesh-sync", "status", "--json"]).stdout)) == []
