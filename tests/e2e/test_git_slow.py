"""A list that is too large or comes too slowly is given up in time, and so is all that a run has started."""

from __future__ import annotations

import re
import signal
import time

import pytest

from e2e.failing_git_host import COPY, GIT, HOST, SSH, START, ask, frozen, slow, unreachable
from lab import Lab, Node
from lab.mesh import Mesh, now, now_json
from lab.waiting import eventually

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def huge(lab: Lab, mesh: Mesh) -> str:
    """A repository with a list that is fine, and 3 MiB of noise beside it."""
    lab.git.repository("huge")
    script = f"""git clone -q {GIT} huge && cd huge && head -c 3145728 /dev/urandom >noise &&
        git add . && git commit -q -m noise && git push -q git://{HOST}/huge.git HEAD:main"""
    mesh.operator.run(["sh", "-c", script], cwd="/run/home")
    return f"git://{HOST}/huge.git"


def leftovers(node: Node) -> list[str]:
    names = (path.name for path in node.path(COPY).rglob("*") if path.is_file())
    return [name for name in names if name.startswith("tmp_") or name.endswith(".lock")]


def test_a_repository_larger_than_the_node_takes(mesh: Mesh, a: Node, huge: str) -> None:
    ask(mesh, a, huge, max_size=1, deadline=10)
    assert unreachable(a, within=10) == f"{huge} has a repository larger than this node takes"
    assert leftovers(a) == []
    ask(mesh, a, huge, max_size=8, deadline=10)
    assert now_json(a)["result"] == "in-sync"


def test_a_repository_that_does_not_arrive_in_time(lab: Lab, mesh: Mesh, a: Node, huge: str) -> None:
    a.run(["rm", "-r", COPY])
    ask(mesh, a, huge)
    with slow(lab):
        assert re.fullmatch(rf"{huge} did not deliver branch 'main' within [0-3] s", unreachable(a))
    assert leftovers(a) == []


# -- stopping


def processes(node: Node) -> str:
    return node.run(["ps", "-eo", "args"]).stdout


STARTED = ("git", "ssh", "/usr/lib/git")


def stopped(node: Node, program: str) -> None:
    """Ctrl-C while `program` hangs ends the run and everything it started."""
    run = node.popen(["mesh-sync", "now"])
    assert eventually(lambda: program in processes(node))
    begin = time.monotonic()
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=2 * START)
    assert time.monotonic() - begin < START
    assert (run.returncode, said.strip()) == (130, "stopped")
    assert eventually(lambda: not any(line.startswith(STARTED) for line in processes(node).splitlines()))


def test_ctrl_c_ends_a_look_that_hangs(lab: Lab, mesh: Mesh, a: Node) -> None:
    ask(mesh, a, SSH, GIT, f"git://{HOST}/other.git", deadline=30)
    with frozen(lab):
        stopped(a, "ls-remote")
    now(a, "--wait=0")


def test_ctrl_c_ends_a_fetch_that_hangs(lab: Lab, mesh: Mesh, a: Node, huge: str) -> None:
    a.run(["rm", "-r", COPY])
    ask(mesh, a, huge, GIT, deadline=30)
    with slow(lab):
        stopped(a, "index-pack")
