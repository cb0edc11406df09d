"""A commit that would take much away by mistake has to say that it means it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from mesh_sync.node.config import Trust
from mesh_sync.wireguard import keys
from unit.judging_node import ADMIN, NODE_A, NODE_B, SignedMesh, applied, back, refused

OTHERS = "cdefg"
KEYS = {name: keys.public_key(keys.generate()) for name in OTHERS}


@pytest.fixture
def mesh(signed: SignedMesh, request: pytest.FixtureRequest) -> SignedMesh:
    """Seven peers, in one of the modes of trust."""
    for number, name in enumerate(OTHERS, start=60):
        address = f"10.0.0.{number}"
        signed.set(name, public_key=KEYS[name], addresses=[address], endpoint=f"203.0.113.{number}:51820")
    if getattr(request, "param", "signed") == "none":
        signed.node = evolve(signed.node, trust=Trust(mode="none"))
    applied(signed, signed.push("many peers"))
    return signed


def without(mesh: SignedMesh, *names: str) -> None:
    for name in names:
        mesh.remove(name)


def moved(mesh: SignedMesh) -> None:
    for port, name in enumerate(("b", *OTHERS), start=1):
        mesh.set(name, endpoint=f"198.51.100.1:{port}")


def another_key(mesh: SignedMesh) -> None:
    """Root has put the new key in place; the list follows."""
    private = mesh.private.setdefault("next", keys.generate())
    mesh.hold(private)
    mesh.set("a", public_key=keys.public_key(private))


KINDS: dict[str, tuple[Callable[[SignedMesh], None], str, str]] = {
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
    mesh: SignedMesh, change: Callable[[SignedMesh], None], what: str, does: str
) -> None:
    mesh.commit(f"too early\n\nMesh-Allow: {what}")
    change(mesh)
    bad = mesh.push("no trailer, only talk of Mesh-Allow: " + what)
    line = f'its message needs the line "Mesh-Allow: {what}"'
    assert refused(mesh, bad) == f"commit {bad[:10]} {does}; if that is intended, {line}"
    back(mesh)
    change(mesh)
    wrong = mesh.commit("another trailer\n\nMesh-Allow: everything")
    mesh.publish(force=True)
    assert refused(mesh, wrong) == f"commit {wrong[:10]} {does}; if that is intended, {line}"
    meant = mesh.push(f"it was meant\n\nMesh-Allow: something-else\nMesh-Allow: {what}")
    applied(mesh, meant)


def test_an_empty_list_says_both(mesh: SignedMesh) -> None:
    without(mesh, "b", *OTHERS)
    bad = mesh.push()
    said = refused(mesh, bad)
    assert 'needs the line "Mesh-Allow: removed-peers"; commit' in said
    assert said.endswith('needs the line "Mesh-Allow: empty-list"')
    applied(mesh, mesh.push("the end\n\nMesh-Allow: removed-peers\nMesh-Allow: empty-list"))
    assert mesh.state.applied.desired is not None
    assert mesh.state.applied.desired.peers == ()


def test_the_key_of_a_node_does_not_say_that_it_was_meant(mesh: SignedMesh) -> None:
    without(mesh, *"cdef")
    mesh.push("a mistake")
    mesh.sign_as(NODE_B)
    mesh.git("commit", "-q", "--allow-empty", "-m", "endpoint\n\nMesh-Allow: removed-peers")
    mesh.publish()
    assert "removes 4 of 6 peers" in refused(mesh, mesh.git("rev-parse", "HEAD"))
    mesh.sign_as(ADMIN)
    mesh.git("commit", "-q", "--allow-empty", "-m", "it was meant\n\nMesh-Allow: removed-peers")
    mesh.publish()
    applied(mesh, mesh.git("rev-parse", "HEAD"))


def test_a_node_that_was_away_takes_many_small_steps_at_once(mesh: SignedMesh) -> None:
    without(mesh, *"cd")
    mesh.commit("two")
    without(mesh, *"ef")
    commit = mesh.push("two more")
    applied(mesh, commit)


def test_a_step_that_a_merge_brings_may_say_it_in_the_side_branch(mesh: SignedMesh) -> None:
    for message, judged in (("removes them", refused), ("removes them\n\nMesh-Allow: removed-peers", applied)):
        back(mesh)
        mesh.git("checkout", "-q", "-B", "side")
        without(mesh, *"cdef")
        mesh.commit(message)
        mesh.git("checkout", "-q", "main")
        mesh.set("b", description="meanwhile")
        mesh.commit("meanwhile")
        mesh.git("merge", "-q", "--no-ff", "-m", "merge", "side")
        mesh.publish(force=True)
        judged(mesh, mesh.git("rev-parse", "HEAD"))


def test_a_merge_that_leaves_the_main_line_behind_is_a_removal(mesh: SignedMesh) -> None:
    """Along its first parents nothing is ever removed: they do not have the peers that the main line has added."""
    mesh.git("checkout", "-q", "-B", "old", "HEAD^")
    mesh.git("merge", "-q", "--no-ff", "-s", "ours", "-m", "ours", "main")
    bad = mesh.git("rev-parse", "HEAD")
    mesh.publish(bad, force=True)
    assert refused(mesh, bad).startswith(f"commit {bad[:10]} removes 5 of 6 peers")


def test_the_limit_is_that_of_the_list_that_is_applied(mesh: SignedMesh) -> None:
    mesh.set_mesh(guard={"max_removed_peers": 100})
    without(mesh, *"cdef")
    bad = mesh.push()
    assert "more than max_removed_peers = 3" in refused(mesh, bad)


def test_a_copy_that_lost_what_is_applied_is_made_anew(mesh: SignedMesh) -> None:
    for file in mesh.node.bare_repository.joinpath("objects").rglob("*"):
        if file.is_file():
            file.unlink()
    without(mesh, *"cdef")
    bad = mesh.push()
    assert "removes 4 of 6 peers" in refused(mesh, bad)


def test_small_changes_need_no_trailer(mesh: SignedMesh) -> None:
    without(mesh, *"cde")
    mesh.set("b", endpoint="b.example:4500")
    mesh.allow(ADMIN, NODE_A, NODE_B)
    applied(mesh, mesh.push())
