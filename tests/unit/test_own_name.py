"""A node that the list calls otherwise than its node.toml: it goes on by its key, and a copy of its disk does not."""

from __future__ import annotations

import pytest
from attrs import evolve

from mesh_sync.node.state import State
from mesh_sync.reconcile.verdict import Verdict
from mesh_sync.wireguard import keys
from unit.judging_node import ADMIN, SignedMesh, applied, refused


def rename(mesh: SignedMesh, old: str, new: str, message: str = "") -> str:
    """Rename a peer's file, and the key that may sign its changes."""
    mesh.git("mv", f"peers/{old}.toml", f"peers/{new}.toml")
    listed = (mesh.folder / "allowed_signers").read_text()
    mesh.edit("allowed_signers", listed.replace(f"{old}@node.lab", f"{new}@node.lab"))
    mesh.sign_as(ADMIN)
    return mesh.push(message or f"{old} is {new}")


def name_of(mesh: SignedMesh) -> str:
    desired = mesh.state.applied.desired
    assert desired is not None
    return desired.name


def taken(mesh: SignedMesh) -> Verdict:
    found = mesh.look()
    assert found.problem is None, found.problem
    return found


def test_a_node_that_is_renamed_stays_what_it_is_and_says_so_once(signed: SignedMesh) -> None:
    before = signed.state.applied.desired
    commit = rename(signed, "a", "zurich")
    found = taken(signed)
    assert (signed.state.applied.commit, name_of(signed)) == (commit, "zurich")
    assert found.notes == ('the list calls this node zurich now: write name = "zurich" in node.toml',)
    assert before is not None
    assert signed.state.applied.desired == evolve(before, name="zurich")
    signed.set("zurich", mtu=1300)
    signed.push("and goes on")
    assert taken(signed).notes == ()
    signed.node = evolve(signed.node, name="zurich")
    signed.set("zurich", mtu=1301)
    signed.push("as it does under its new name")
    assert (taken(signed).notes, name_of(signed)) == ((), "zurich")


def test_another_peer_that_is_renamed_is_the_same_tunnel(signed: SignedMesh) -> None:
    before = signed.state.applied.desired
    applied(signed, rename(signed, "b", "berlin"))
    assert before is not None
    assert signed.state.applied.desired == evolve(before, peers=(evolve(before.peers[0], name="berlin"),))


def test_a_node_is_found_after_many_renames_and_without_its_state(signed: SignedMesh) -> None:
    for old, new in (("a", "b2"), ("b", "a"), ("b2", "z")):
        rename(signed, old, new)
    signed.state = State()
    taken(signed)
    assert name_of(signed) == "z"


def test_a_new_key_that_was_announced_is_followed_too(signed: SignedMesh) -> None:
    private = keys.generate()
    signed.set("a", next_public_key=keys.public_key(private))
    applied(signed, signed.push("announced"))
    signed.hold(private)
    rename(signed, "a", "zurich")
    signed.set("zurich", public_key=keys.public_key(private), next_public_key=None)
    applied(signed, signed.push("over"))
    assert name_of(signed) == "zurich"


@pytest.mark.parametrize("keep_state", [True, False])
def test_keys_that_changed_after_a_rename_are_followed_through_the_next_one(
    signed: SignedMesh, keep_state: bool
) -> None:
    signed.private = dict(signed.private)
    rename(signed, "a", "zurich")
    for name in ("zurich", "zug"):
        private = keys.generate()
        before, public = signed.private["a"], keys.public_key(private)
        signed.set(name, next_public_key=public)
        signed.push("announced")
        signed.set(name, public_key=public, next_public_key=None)
        signed.push(f"no longer {keys.public_key(before)}")
        signed.private["a"] = private
        if name == "zurich":
            rename(signed, "zurich", "zug")
    signed.hold(signed.private["a"])
    if not keep_state:
        signed.state = State()
    taken(signed)
    assert name_of(signed) == "zug"
    desired = signed.state.applied.desired
    assert desired is not None
    assert len(desired.peers) == 1, "it has not left"


def test_a_copy_of_a_disk_under_a_name_that_the_list_never_had_is_refused(signed: SignedMesh) -> None:
    signed.node, signed.state = evolve(signed.node, name="copy"), State()
    assert refused(signed, signed.first).startswith("copy is not in the list at commit")


def test_a_copy_of_a_disk_under_another_peers_name_is_refused(signed: SignedMesh) -> None:
    signed.node, signed.state = evolve(signed.node, name="b"), State()
    assert "peers/b.toml has another public key than" in refused(signed, signed.first)


def test_a_renamed_node_that_is_removed_needs_the_trailer_with_the_name_it_had_then(signed: SignedMesh) -> None:
    rename(signed, "a", "zurich")
    signed.remove("zurich")
    commit = signed.push("gone")
    assert "Mesh-Allow: remove zurich" in refused(signed, commit)
    signed.git("commit", "-q", "--allow-empty", "-m", "meant\n\nMesh-Allow: remove zurich")
    signed.publish()
    taken(signed)
    desired = signed.state.applied.desired
    assert desired is not None
    assert (desired.peers, desired.name) == ((), "a"), "it is left with what it had"


def test_a_renamed_node_that_gets_another_key_needs_the_trailer(signed: SignedMesh) -> None:
    applied(signed, rename(signed, "a", "zurich"))
    signed.set("zurich", public_key=keys.public_key(keys.generate()))
    assert "Mesh-Allow: re-key zurich" in refused(signed, signed.push("another key"))
