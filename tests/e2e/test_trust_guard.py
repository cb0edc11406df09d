"""A commit that would take much away by mistake has to say that it means it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from e2e.signed_mesh import ADMIN, NODE_A, NODE_B, back, refused, sh
from lab import Lab
from lab.mesh import Mesh, dump, now, now_json, status
from lab.snapshot import whole
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

OTHERS = "cdefg"
KEYS = {name: keys.public_key(keys.generate()) for name in OTHERS}


@pytest.fixture
def mesh(signed: Mesh, request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Seven peers, of which two are machines, in one of the modes of trust."""
    for number, name in enumerate(OTHERS, start=60):
        address = f"10.0.0.{number}"
        signed.set(name, public_key=KEYS[name], addresses=[address], endpoint=f"203.0.113.{number}:51820")
    signed.push("many peers")
    a = signed.nodes["a"]
    if getattr(request, "param", "signed") == "none":
        signed.configure(a, trust={"mode": "none"})
    now(a)
    yield signed
    file = a.path("/etc/mesh-sync/private.key")
    if (kept := file.with_name("kept.key")).exists():
        file.write_text(kept.read_text())
        kept.unlink()


def without(mesh: Mesh, *names: str) -> None:
    for name in names:
        mesh.remove(name)


def moved(mesh: Mesh) -> None:
    for name in ("b", *OTHERS):
        mesh.set(name, endpoint="198.51.100.1:1")


def another_key(mesh: Mesh) -> None:
    """Root has put the new key in place; the list follows."""
    file = mesh.nodes["a"].path("/etc/mesh-sync/private.key")
    if not (kept := file.with_name("kept.key")).exists():
        kept.write_text(file.read_text())
        file.write_text(keys.generate() + "\n")
    mesh.set("a", public_key=keys.public_key(file.read_text().strip()))


KINDS: dict[str, tuple[Callable[[Mesh], None], str, str]] = {
    "mass removal": (
        lambda mesh: without(mesh, *"cdef"),
        "removed-peers",
        "removes 4 of 6 peers (c, d, e, f), more than max_removed_peers = 3",
    ),
    "this node removed": (lambda mesh: without(mesh, "a"), "remove a", "removes a, this node"),
    "this node disabled": (lambda mesh: mesh.set("a", enabled=False), "remove a", "removes a, this node"),
    "this node re-keyed": (
        another_key,
        "re-key a",
        "gives a, this node, another public key than it announced",
    ),
    "all endpoints": (moved, "all-endpoints", "changes the endpoints of all 6 peers that have one"),
}


@pytest.mark.parametrize("mesh", ["signed", "none"], indirect=True)
@pytest.mark.parametrize(("change", "what", "does"), KINDS.values(), ids=KINDS)
def test_it_is_refused_until_a_commit_says_that_it_is_meant(
    mesh: Mesh, change: Callable[[Mesh], None], what: str, does: str
) -> None:
    a = mesh.nodes["a"]
    mesh.commit(f"too early\n\nMesh-Allow: {what}")
    change(mesh)
    bad = mesh.push("no trailer, only talk of Mesh-Allow: " + what)
    line = f'its message needs the line "Mesh-Allow: {what}"'
    assert refused(mesh, bad) == f"commit {bad[:10]} {does}; if that is meant, {line}"
    back(mesh)
    change(mesh)
    wrong = mesh.commit("another trailer\n\nMesh-Allow: everything")
    mesh.publish(force=True)
    assert refused(mesh, wrong) == f"commit {wrong[:10]} {does}; if that is meant, {line}"
    meant = mesh.push(f"it was meant\n\nMesh-Allow: something-else\nMesh-Allow: {what}")
    found = now_json(a)
    assert (found["result"], found["commit"]) == ("applied", meant)
    assert status(a)["refused_commits"] == []


def test_an_empty_list_says_both(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    without(mesh, "b", *OTHERS)
    bad = mesh.push()
    said = refused(mesh, bad)
    assert 'needs the line "Mesh-Allow: removed-peers"; commit' in said
    assert said.endswith('needs the line "Mesh-Allow: empty-list"')
    mesh.push("the end\n\nMesh-Allow: removed-peers\nMesh-Allow: empty-list")
    now(a)
    assert list(dump(a)) == [""]


def test_the_key_of_a_node_does_not_say_that_it_was_meant(mesh: Mesh) -> None:
    without(mesh, *"cdef")
    mesh.push("a mistake")
    mesh.sign_as(NODE_B)
    mesh.git("commit", "-q", "--allow-empty", "-m", "endpoint\n\nMesh-Allow: removed-peers")
    mesh.publish()
    assert "removes 4 of 6 peers" in refused(mesh, mesh.git("rev-parse", "HEAD"))
    mesh.sign_as(ADMIN)
    mesh.git("commit", "-q", "--allow-empty", "-m", "it was meant\n\nMesh-Allow: removed-peers")
    mesh.publish()
    assert now_json(mesh.nodes["a"])["result"] == "applied"


def test_a_node_that_was_let_go_reaches_nobody_and_can_come_back(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    before = whole(a)
    own = (mesh.operator.path("/run/home/mesh") / "peers/a.toml").read_text()
    without(mesh, "a")
    mesh.push("a leaves\n\nMesh-Allow: remove a")
    now(a)
    assert list(dump(a)) == [""]
    links = sh(a, "ip -oneline -4 address show dev wg0; ip route show dev wg0").splitlines()
    assert len(links) == 1, "its address, and no route"
    assert "10.0.0.21/32" in links[0]
    mesh.set("b", persistent_keepalive=12)
    mesh.push("without a")
    assert now_json(a)["result"] == "in-sync"
    mesh.edit("peers/a.toml", own)
    mesh.set("b", persistent_keepalive=None)
    mesh.push("a comes back")
    now(a)
    assert whole(a) == before


def test_a_node_that_was_away_takes_many_small_steps_at_once(mesh: Mesh) -> None:
    without(mesh, *"cd")
    mesh.commit("two")
    without(mesh, *"ef")
    commit = mesh.push("two more")
    found = now_json(mesh.nodes["a"])
    assert (found["result"], found["commit"]) == ("applied", commit)


def test_a_step_that_a_merge_brings_may_say_it_in_the_side_branch(mesh: Mesh) -> None:
    for message, code in (("removes them", 4), ("removes them\n\nMesh-Allow: removed-peers", 0)):
        back(mesh)
        mesh.git("checkout", "-q", "-B", "side")
        without(mesh, *"cdef")
        mesh.commit(message)
        mesh.git("checkout", "-q", "main")
        mesh.set("b", description="meanwhile")
        mesh.commit("meanwhile")
        mesh.git("merge", "-q", "--no-ff", "-m", "merge", "side")
        mesh.publish(force=True)
        now(mesh.nodes["a"], exit_code=code)


def test_a_merge_that_leaves_the_main_line_behind_is_a_removal(mesh: Mesh) -> None:
    """Along its first parents nothing is ever removed: they do not have the peers that the main line has added."""
    mesh.git("checkout", "-q", "-B", "old", "HEAD^")
    mesh.git("merge", "-q", "--no-ff", "-s", "ours", "-m", "ours", "main")
    bad = mesh.git("rev-parse", "HEAD")
    mesh.publish(bad, force=True)
    assert refused(mesh, bad).startswith(f"commit {bad[:10]} removes 5 of 6 peers")


def test_the_limit_is_that_of_the_list_that_is_applied(mesh: Mesh) -> None:
    mesh.set_mesh(guard={"max_removed_peers": 100})
    without(mesh, *"cdef")
    bad = mesh.push()
    assert "more than max_removed_peers = 3" in refused(mesh, bad)


def test_a_copy_that_lost_what_is_applied_is_made_anew(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    sh(a, "find /var/lib/mesh-sync/wg0/repo.git/objects -type f -delete")
    without(mesh, *"cdef")
    bad = mesh.push()
    assert "removes 4 of 6 peers" in refused(mesh, bad)


def test_small_changes_need_no_trailer(mesh: Mesh, lab: Lab) -> None:
    assert lab is mesh.lab
    without(mesh, *"cde")
    mesh.set("b", endpoint="b.example:4500")
    mesh.allow(ADMIN, NODE_A, NODE_B)
    commit = mesh.push()
    assert now_json(mesh.nodes["a"])["commit"] == commit
