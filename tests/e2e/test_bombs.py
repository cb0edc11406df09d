"""A hostile git host fills neither memory nor disk nor time of a node, and the next good commit is still accepted."""

from __future__ import annotations

import itertools
import re
import sys
import time
from pathlib import Path

import pytest

import lab as labs
from lab import Lab, Node
from lab.memory import PeakMemory
from lab.mesh import WORK, Mesh, now, now_json, status, two_peers
from lab.service import Service, listening
from lab.snapshot import untouched

pytestmark = pytest.mark.e2e

PORT = 9500
BOMBS = f"git://git.example.org:{PORT}"
DEADLINE, LONG = 3, 20
"""Seconds for a host that will not deliver anyway, and for one that may."""
READING = 10.0
"""Seconds that git may take to read one commit."""
SLACK = 15.0
"""Seconds that a run may take beyond its deadline on a slow and busy machine."""
MAX_SIZE = 32
"""MiB; what the hostile host sends may be large, what stays of it may not."""
OF_GIT, OURS = 300, 110
"""MiB of memory that a process may have."""
MORE_FILES = ".:: more than 20,000 files or 16,777,216 bytes; this is not a mesh repository"
NO_LIST = "mesh.toml:: is missing; `mesh-sync init` creates one"
IN_TIME = r"did not deliver branch 'main' within \d+ s|gives no answer"
MEMORY = "needs more memory than git is given here"
SIZE = "has a repository larger than this node takes"

UNREACHABLE = {
    "ten-gigabytes": IN_TIME,
    "many-big-files": f"{IN_TIME}|{SIZE}",
    "delta": MEMORY,
    "deep": ".+",
    "long-message": MEMORY,
    "many-refs": ".+",
    "endless-refs": f"{MEMORY}|{IN_TIME}",
    "endless-line": ".+",
    "endless-pack": f"{SIZE}|{IN_TIME}",
    "endless-words": IN_TIME,
    "endless-line-of-words": f"{IN_TIME}|{MEMORY}",
    "dripping": IN_TIME,
    "silent": IN_TIME,
}
HARD = dict.fromkeys(("delta", "deep", "long-message"), LONG)
"""What does arrive."""
REFUSED = {
    "million-files": MORE_FILES,
    "paths": MORE_FILES,
    "folders": MORE_FILES,
    "long-name": MORE_FILES,
    "commits": NO_LIST,
    "message": NO_LIST,
}
keepalives = itertools.count(1)


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Mesh:
    """Peers a and b, up, and a second, hostile git host."""
    mesh = two_peers(lab)
    argv = ["env", f"PYTHONPATH={Path(labs.__file__).parents[1]}", sys.executable, "-m", "lab.bombs", str(PORT)]
    Service(lab.git.host, argv, listening("tcp", PORT)).start()
    return mesh


def ask(mesh: Mesh, node: Node, url: str, deadline: int = LONG) -> None:
    mesh.configure(node, repository={"urls": [url], "deadline": deadline, "max_size": MAX_SIZE})


def on_disk(node: Node) -> int:
    """MiB below the state directory."""
    files = node.path("/var/lib/mesh-sync").rglob("*")
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file()) >> 20


def withstands(mesh: Mesh, bomb: str, exit_code: int, deadline: int) -> list[str]:
    """The node ends its run in time, unchanged and not swollen, and takes the next good commit; what it said."""
    a = mesh.nodes["a"]
    mesh.operator.run(["timeout", "60", "git", "ls-remote", f"{BOMBS}/{bomb}/built"], timeout=70, check=False)
    before = untouched(a)
    ask(mesh, a, f"{BOMBS}/{bomb}", deadline)
    begin = time.monotonic()
    with PeakMemory(a) as peak:
        done = now(a, exit_code=exit_code, timeout=90)
    took = time.monotonic() - begin
    print(
        f"{bomb}: {took:.1f} s, git {peak.of('git')} MiB, mesh-sync {peak.of('mesh-sync')} MiB, {on_disk(a)} MiB left"
    )
    assert took < deadline + READING + SLACK
    assert peak.of("git") < OF_GIT
    assert 0 < peak.of("mesh-sync") < OURS
    assert untouched(a) == before
    assert on_disk(a) <= MAX_SIZE + 1
    takes_the_next(mesh, a)
    return done.stderr.splitlines()


def takes_the_next(mesh: Mesh, node: Node) -> None:
    ask(mesh, node, mesh.url)
    mesh.set("a", persistent_keepalive=next(keepalives))
    commit = mesh.push("good")
    found = now_json(node, timeout=60)
    assert (found["result"], found["commit"]) == ("applied", commit)
    assert status(node)["refused_commits"] == []


@pytest.mark.parametrize(("bomb", "says"), UNREACHABLE.items(), ids=UNREACHABLE)
def test_a_host_that_is_as_good_as_not_there(mesh: Mesh, bomb: str, says: str) -> None:
    said = withstands(mesh, bomb, exit_code=3, deadline=HARD.get(bomb, DEADLINE))
    assert [line for line in said[1:] if not line.startswith("  ")] == [], "but for what it advises to do"
    assert re.search(says, said[0]), said


@pytest.mark.parametrize(("bomb", "line"), REFUSED.items(), ids=REFUSED)
def test_a_commit_that_is_refused(mesh: Mesh, bomb: str, line: str) -> None:
    said = withstands(mesh, bomb, exit_code=4, deadline=LONG)
    assert line in said
    assert len(said) < 5


def test_what_nobody_needs_any_more_goes_when_there_is_too_much(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    good = git(mesh, "rev-parse HEAD")
    for _ in range(6):
        git(mesh, "checkout -q --orphan noise && head -c 8000000 /dev/urandom >noise && git add -A")
        git(mesh, f"commit -q -m noise && git push -q --force {mesh.url} HEAD:main")
        ask(mesh, a, mesh.url)
        now(a, timeout=60)
        assert on_disk(a) <= MAX_SIZE + 8
        git(mesh, f"checkout -q -f main && git reset -q --hard {good} && git branch -q -D noise")
    git(mesh, f"push -q --force {mesh.url} {good}:main")
    takes_the_next(mesh, a)


def git(mesh: Mesh, words: str) -> str:
    return mesh.operator.run(["sh", "-c", f"git {words}"], cwd=WORK).stdout.strip()
