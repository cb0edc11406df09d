"""What cannot be taken back is what admins have signed; what nodes sign above it is provisional, and bounded."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from attrs import evolve

from mesh_sync.errors import Unreachable
from mesh_sync.trust.guard_history import MAX_STEPS
from mesh_sync.trust.quota import MOST_BYTES, MOST_COMMITS
from unit.hostile_mesh import ANNA, OTTO, HostileMesh, git, peer
from unit.hostile_steps import B, C, at, by_admin, by_node, refuses, takes

# -- what nodes sign


def test_a_rewind_of_a_nodes_commit_changes_nothing_and_an_admins_next_commit_is_taken(mesh: HostileMesh) -> None:
    ahead = by_node(mesh, mesh.first, 1001)
    takes(mesh, ahead)
    assert refuses(mesh, mesh.first) == (
        f"commit {mesh.first[:10]} is older than {ahead[:10]}, which is applied: "
        "only a commit that an admin has signed may take that back"
    )
    assert at(mesh) == ahead
    takes(mesh, by_admin(mesh, mesh.first))


def test_a_fork_of_nodes_commits_changes_nothing_and_an_admins_next_commit_is_taken(mesh: HostileMesh) -> None:
    one, other = by_node(mesh, mesh.first, 1001), by_node(mesh, mesh.first, 1002, C)
    takes(mesh, one)
    assert f"does not descend from {one[:10]}" in refuses(mesh, other)
    assert at(mesh) == one
    takes(mesh, by_admin(mesh, other))


def test_what_an_admin_has_signed_no_node_takes_back(mesh: HostileMesh) -> None:
    takes(mesh, by_admin(mesh, mesh.first))
    assert "the remote went back" in refuses(mesh, mesh.first)
    assert "the branch was rewritten" in refuses(mesh, by_node(mesh, mesh.first, 1001))
    assert "the branch was rewritten" in refuses(mesh, by_admin(mesh, mesh.first, 8))


def pile(mesh: HostileMesh, parent: str, number: int = MOST_COMMITS + 1) -> str:
    for port in range(number):
        parent = by_node(mesh, parent, 2000 + port)
    return parent


def test_past_its_number_of_commits_a_nodes_key_is_stopped_and_an_admins_next_commit_goes_on(mesh: HostileMesh) -> None:
    signed = by_admin(mesh, mesh.first)
    full = pile(mesh, signed, MOST_COMMITS)
    over = by_node(mesh, full, 1001)
    said = refuses(mesh, over)
    assert said.startswith(
        f"{B} has signed {MOST_COMMITS + 1} commits since the last commit of an admin; {MOST_COMMITS} are"
    )
    assert "they count once an admin has signed a commit on top of them" in said
    assert at(mesh) == signed, "the newest of an admin, which was never the head that this node saw"
    takes(mesh, full, "b")
    takes(mesh, by_node(mesh, full, 1003, C), "b")
    last = by_admin(mesh, over, 9)
    for node in "abd":
        takes(mesh, last, node)


def test_so_with_its_number_of_bytes(mesh: HostileMesh) -> None:
    head, files = mesh.first, dict(mesh.made[mesh.first].files)
    for number in range(MOST_BYTES // 15_000 + 1):
        files["peers/b.toml"] = peer("b", listen_port=1000 + number) + f"# {'x' * 15_000}\n"
        head = mesh.commit(files, [head], B)
    assert re.match(rf"{B} has signed [\d,]+ bytes since the last commit of an admin; ", refuses(mesh, head))
    takes(mesh, by_admin(mesh, head))


def test_what_piled_up_is_dropped_once_an_admin_pushes_without_it(mesh: HostileMesh) -> None:
    """Of a branch that a node's key has made too large there is nothing to keep, wherever it is refused."""
    node = mesh.nodes["a"]
    node.node = evolve(node.node, repository=evolve(node.node.repository, max_size=1))
    head, files = mesh.first, dict(mesh.made[mesh.first].files)
    for number in range(40):
        files["peers/b.toml"] = peer("b", listen_port=1000 + number) + f"# {os.urandom(30_000).hex()}\n"
        head = mesh.commit(files, [head], B)
        if number == 10:
            assert "bytes since the last commit of an admin" in refuses(mesh, head)
    mesh.show_everywhere(head)
    problem = node.poll().problem
    assert isinstance(problem, Unreachable)
    assert "has a repository larger than this node takes" in problem.message
    assert "push --force" in problem.hint
    assert at(mesh) == mesh.first
    takes(mesh, by_admin(mesh, mesh.first))
    objects = node.node.bare_repository / "objects"
    assert sum(file.stat().st_size for file in objects.rglob("*") if file.is_file()) < 100_000


def test_what_is_wrong_with_a_nodes_commit_does_not_hide_the_admins_below_it(mesh: HostileMesh) -> None:
    signed = by_admin(mesh, mesh.first)
    bad = mesh.commit({**mesh.made[signed].files, "peers/b.toml": peer("b", mtu=1)}, [signed], B)
    assert "has 1 error" in refuses(mesh, bad)
    assert at(mesh) == signed
    assert "has 1 error" in refuses(mesh, bad), "it is remembered"
    assert at(mesh) == signed
    greedy = mesh.commit({**mesh.made[signed].files, "peers/a.toml": peer("a", mtu=1400)}, [signed], B)
    assert "who may not change 'peers/a.toml'" in refuses(mesh, greedy, "d")
    assert at(mesh, "d") == signed


def test_what_an_admin_pushes_together_is_taken_together(mesh: HostileMesh) -> None:
    """So that an admin who has pushed something wrong can push something else in place of all of it."""
    half = by_admin(mesh, mesh.first)
    assert "is not signed" in refuses(mesh, mesh.commit(mesh.made[half].files, [half], None, legitimate=False))
    assert at(mesh) == mesh.first
    takes(mesh, by_admin(mesh, mesh.first, 8))


def test_a_node_takes_in_what_is_verified_of_a_push_that_another_admin_replaces(mesh: HostileMesh) -> None:
    """Even if it has applied a node's commit before, which neither of the two knows."""
    takes(mesh, by_node(mesh, mesh.first, 1001))
    half = by_admin(mesh, mesh.first)
    refuses(mesh, mesh.commit(mesh.made[half].files, [half], None, legitimate=False))
    assert "the branch was rewritten" in refuses(mesh, by_node(mesh, mesh.first, 1002, C))
    takes(mesh, by_admin(mesh, mesh.first, 8, OTTO))


def test_what_an_admin_takes_back_of_nodes_needs_no_leave_of_the_guard(mesh: HostileMesh) -> None:
    """Else three nodes' keys could make the next commit of any admin look as if it moved all endpoints."""
    head = mesh.first
    for name in "bcd":
        files = {**mesh.made[head].files, f"peers/{name}.toml": peer(name, endpoint=f"other-{name}.example:1")}
        head = mesh.commit(files, [head], f"{name}@node.lab")
        takes(mesh, head)
    takes(mesh, by_admin(mesh, mesh.first))


def test_many_commits_of_nodes_do_not_hide_what_an_admin_has_allowed(mesh: HostileMesh) -> None:
    head = mesh.first
    for number in range(MAX_STEPS + 5):
        head = by_node(mesh, head, 2000 + number, f"{'bcd'[number % 3]}@node.lab")
    others = {f"peers/{name}.toml" for name in "bcd"}
    files = {path: text for path, text in mesh.made[head].files.items() if path not in others}
    for message in ("x", "Mesh-Allow: empty-list\n\nx"):
        alone = mesh.commit(files, [head], ANNA, message=message)
        assert "leaves no other peer in the mesh" in refuses(mesh, mesh.commit(files, [alone], ANNA))
    allowed = mesh.commit(files, [head], ANNA, message="so be it\n\nMesh-Allow: empty-list\nX:")
    takes(mesh, mesh.commit(files, [allowed], ANNA))


# -- one commit, two spellings of its signature


def test_a_twin_of_an_admins_commit_is_that_commit(mesh: HostileMesh) -> None:
    signed = by_admin(mesh, mesh.first)
    twin = mesh.twin(signed)
    assert twin
    takes(mesh, twin)
    takes(mesh, signed)
    takes(mesh, by_node(mesh, signed, 1001))
    takes(mesh, by_admin(mesh, signed, 8))


def test_a_twin_counts_when_the_node_has_lost_its_copy_of_the_one_it_knew(mesh: HostileMesh) -> None:
    signed = by_admin(mesh, mesh.first)
    takes(mesh, mesh.twin(signed) or "")
    mesh.nodes["a"].lose_copy()
    takes(mesh, by_admin(mesh, signed, 8))


def test_a_twin_of_a_nodes_commit_is_that_commit(mesh: HostileMesh) -> None:
    mine = by_node(mesh, mesh.first, 1001)
    takes(mesh, mesh.twin(mine) or "")
    takes(mesh, by_node(mesh, mine, 1002, C))


@pytest.mark.parametrize("signature", ["none", "another's"])
def test_a_twin_that_its_admin_has_not_signed_is_no_twin(mesh: HostileMesh, signature: str) -> None:
    signed = by_admin(mesh, mesh.first)
    takes(mesh, signed)
    raw = subprocess.run(
        ["git", "--git-dir", str(mesh.store), "cat-file", "commit", signed], capture_output=True, check=True
    ).stdout
    bare = re.sub(rb"gpgsig (.*\n )*.*\n", b"", raw)
    if signature == "another's":
        (mesh.store / "payload").write_bytes(bare)
        argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(mesh.keys / B), str(mesh.store / "payload")]
        subprocess.run(argv, check=True, capture_output=True)
        text = (mesh.store / "payload.sig").read_bytes().strip().replace(b"\n", b"\n ")
        bare = bare.replace(b"\n\n", b"\ngpgsig " + text + b"\n\n", 1)
    name = git("hash-object", "-t", "commit", "-w", "--stdin", at=mesh.store, input=bare)
    mesh.remember(name, mesh.made[signed].parents, mesh.made[signed].files, False)
    assert mesh.made[name].signed.split()[-1] == mesh.made[signed].signed.split()[-1]
    assert "the branch was rewritten" in refuses(mesh, by_admin(mesh, name, 8))


def test_an_admin_may_begin_again_in_the_middle_of_what_was_refused(mesh: HostileMesh) -> None:
    one = by_admin(mesh, mesh.first)
    middle = by_node(mesh, one, 1001)
    two = by_admin(mesh, middle, 8)
    refuses(mesh, mesh.commit(mesh.made[two].files, [two], None, legitimate=False))
    takes(mesh, by_admin(mesh, middle, 9))
