"""A history that is cut short and a copy that is damaged: the node copes."""

from __future__ import annotations

import pytest

from e2e.failing_git_host import COPY, GIT, HOST, ask
from lab import Lab, Node
from lab.mesh import Mesh, dump, now, now_json
from lab.snapshot import device

pytestmark = pytest.mark.e2e


def test_a_remote_that_is_a_shallow_clone_serves(lab: Lab, mesh: Mesh, a: Node) -> None:
    a.run(["rm", "-r", COPY])
    first, second = mesh.push("one more"), mesh.push("and another")
    clone = ["git", "clone", "-q", "--bare", "--depth=1", "file:///srv/mesh.git", "/srv/shallow.git"]
    lab.git.host.run(clone)
    assert lab.git.host.run(["git", "-C", "/srv/shallow.git", "rev-list", "main"]).stdout.split() == [second]
    assert first != second
    ask(mesh, a, f"git://{HOST}/shallow.git")
    assert now_json(a)["commit"] == second


def test_a_copy_of_the_nodes_own_that_is_shallow_serves(mesh: Mesh, a: Node) -> None:
    mesh.push("history")
    a.run(["rm", "-r", COPY])
    a.run(["git", "clone", "-q", "--bare", "--depth=1", GIT, COPY])
    assert (a.path(COPY) / "shallow").exists()
    assert applies_the_next_commit(mesh, a)


def applies_the_next_commit(mesh: Mesh, node: Node) -> bool:
    """Push a change of b's keepalive that has not been there before, and see it arrive."""
    b = next(key for key, peer in dump(node).items() if key)
    other = 20 + int(device(node)[b]["keepalive"].replace("off", "0")) % 40
    mesh.set("b", persistent_keepalive=17)
    mesh.set("a", persistent_keepalive=other)
    commit = mesh.push("a change")
    found = now_json(node)
    return (found["result"], found["commit"]) == ("applied", commit) and dump(node)[b]["keepalive"] == str(other)


DAMAGES = {
    "all objects are gone": "rm -rf objects/?? objects/pack/*",
    "all objects are empty": "find objects -type f -exec chmod u+w {} + -exec truncate -s0 {} +",
    "all objects are cut": "find objects -type f -exec chmod u+w {} + -exec truncate -s20 {} +",
    "HEAD is empty": ": >HEAD",
    "the settings are garbage": "echo '[' >config",
    "the ref is empty": ": >refs/mesh/candidate",
    "a git that was killed left locks": "touch shallow.lock packed-refs.lock refs/mesh/candidate.lock",
    "there is nothing in it": "rm -rf ./*",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_copy_heals(mesh: Mesh, a: Node, damage: str) -> None:
    a.run(["sh", "-c", damage], cwd=COPY)
    assert now_json(a)["result"] == "in-sync"
    assert applies_the_next_commit(mesh, a)


def test_a_copy_without_one_file_of_the_commit_heals(mesh: Mesh, a: Node) -> None:
    commit = mesh.push("whole")
    now(a)
    git = ["git", f"--git-dir={COPY}"]
    blob = a.run([*git, "rev-parse", f"{commit}:peers/b.toml"]).stdout.strip()
    a.run([*git, "repack", "-adq"])
    loosen = "mv objects/pack/*.pack . && cat *.pack | git unpack-objects -q && rm -r *.pack objects/pack"
    a.run(["sh", "-c", loosen], cwd=COPY)
    a.run(["rm", f"{COPY}/objects/{blob[:2]}/{blob[2:]}"])
    a.run(["rm", "-r", "/var/lib/mesh-sync/wg0/state.json"])
    assert now_json(a)["commit"] == commit
    assert a.run([*git, "cat-file", "-t", blob]).stdout == "blob\n"
