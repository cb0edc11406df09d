"""`mesh-sync init --node`, interrupted at each of its stages, and typed again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from e2e.hosted_mesh import Hosted
from e2e.joined_mesh import ALICE, KEY
from e2e.killed_runs import KILL_AT_STEP
from lab import Lab
from lab.mesh import status
from lab.tree import HOME

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

STAGES = (
    (1, r"open .*/\.mesh-sync-init/mesh\.toml"),
    (1, r"Popen.*'commit'"),
    (2, r"os\.rename .*/\.mesh-sync-init/"),
    (1, r"os\.rename .*/\.mesh-sync-init/\.git"),
    (1, r"Popen.*'remote', 'add'"),
    (1, r"Popen.*'branch\.main\.merge'"),
    (1, r"Popen.*'push'"),
    (1, r"open .*known_hosts"),
    (1, r"open .*private\.key"),
    (1, r"Popen.*ssh-keygen"),
    (1, r"os\.rename .*/peers/"),
    (1, r"os\.rename .*/allowed_signers"),
    (1, r"Popen.*'commit-tree'"),
    (1, r"Popen.*'update-ref'"),
    (2, r"Popen.*'push'"),
    (1, r"open .*node\.toml"),
    (1, r"open .*state\.json"),
)
"""Where it is killed, one after the other, each time on the way from where the last one has come to."""


@pytest.fixture
def mesh(lab: Lab) -> Hosted:
    return Hosted(lab, begun=False)


def test_it_goes_on_from_wherever_it_was_killed(mesh: Hosted) -> None:
    node = mesh.operator
    begin = ("init", "home", "--signer", ALICE, "--signing-key", KEY, "--remote", mesh.url, "--node", "aws")
    words = [*begin, "--endpoint", "203.0.113.9:51820"]
    for number, stage in STAGES:
        argv: list[str | Path] = [sys.executable, KILL_AT_STEP, str(number), *words]
        done = node.run(argv, cwd=HOME, env={"STEPS": stage}, check=False, timeout=240)
        assert done.returncode == -9, f"{stage}: {done.stdout}\n{done.stderr}"
    mesh.lab.git.kill()
    done = node.run(["mesh-sync", *words], cwd=HOME, check=False, timeout=240)
    assert done.returncode == 3, done.stderr
    assert f"to continue: mesh-sync {' '.join(words)}" in done.stderr
    mesh.lab.git.start()
    done = node.run(["mesh-sync", *words], cwd=HOME, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert status(node)["commit"] == mesh.head
    log = node.run(["git", "-C", f"{HOME}/home", "log", "--format=%s"]).stdout.splitlines()
    assert log == ["aws: joins the mesh", "mesh: home begins"], "each commit is made once"
    assert not node.run(["git", "-C", f"{HOME}/home", "status", "--porcelain"]).stdout
    other = node.run(["mesh-sync", *words[:1], "other", *words[2:]], cwd=HOME, check=False)
    assert (other.returncode, "is a node already" in other.stderr) == (2, True), other.stderr
