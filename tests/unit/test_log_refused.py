"""`mesh-sync log` and `blame` mark what nodes would refuse: by the same reasons as `check --since`, and only that."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from command import mesh_sync
from unit.judging_node import NODE_A, NODE_B, SignedMesh
from unit.list_keeper import key


def unsigned(mesh: SignedMesh) -> None:
    mesh.sign_as(None)
    mesh.set("b", mtu=1300)


def by_a_stranger(mesh: SignedMesh) -> None:
    mesh.sign_as("eve@example.org")
    mesh.set("b", mtu=1300)


def by_its_node(mesh: SignedMesh) -> None:
    mesh.sign_as(NODE_A)
    mesh.set("a", endpoint="a.example:2")


def by_another_node(mesh: SignedMesh) -> None:
    mesh.sign_as(NODE_A)
    mesh.set("b", endpoint="b.example:2")


def node_adds_a_subnet(mesh: SignedMesh) -> None:
    mesh.sign_as(NODE_B)
    mesh.set("b", subnets=["10.7.0.0/16"])


def removes(mesh: SignedMesh) -> None:
    mesh.remove("b")


def gives_another_key(mesh: SignedMesh) -> None:
    mesh.set("b", public_key=key())


def disables(mesh: SignedMesh) -> None:
    mesh.set("b", enabled=False)


def changes_a_key(mesh: SignedMesh) -> None:
    mesh.set("b", mtu=1300)


def announces_a_key(mesh: SignedMesh) -> None:
    mesh.set("b", next_public_key=key())


def newest(mesh: SignedMesh, *words: object) -> list[str | None]:
    found: list[dict[str, Any]] = json.loads(mesh_sync("log", *words, "--json", "-C", mesh.folder).fine())["commits"]
    return [one["refused"] for one in found]


REMOVED = "no Mesh-Allow: remove b, Mesh-Allow: empty-list"


@pytest.mark.parametrize(
    ("change", "message", "why"),
    [
        (unsigned, "x", "not signed"),
        (by_a_stranger, "x", "signed by no key that the list had"),
        (by_its_node, "x", None),
        (by_another_node, "x", "a@node.lab may not change 'peers/b.toml', only peers/a.toml"),
        (node_adds_a_subnet, "x", "b@node.lab may not "),
        (removes, "x", REMOVED),
        (removes, "x\n\nMesh-Allow: remove b\n\nSo it is.", REMOVED),
        (removes, "x\n\nMesh-Allow: remove b\nmesh-allow: empty-list", None),
        (gives_another_key, "x", "no Mesh-Allow: re-key b"),
        (disables, "x", REMOVED),
        (changes_a_key, "x", None),
        (announces_a_key, "x", None),
    ],
)
def test_what_nodes_would_refuse_is_marked_and_nothing_else(
    signed: SignedMesh, change: Callable[[SignedMesh], None], message: str, why: str | None
) -> None:
    change(signed)
    signed.commit(message)
    marked, first = newest(signed)
    assert (marked or "").startswith(why or "-") if why else marked is None
    assert first is None
    checked = mesh_sync("check", "--since", signed.first, signed.folder)
    assert (checked.code == 1) == (why is not None), checked.out
    shown = mesh_sync("log", "-n", 1, "-C", signed.folder).fine()
    assert ("  ! nodes refuse it: " in shown) == (why is not None)


def test_a_commit_that_moves_every_endpoint_is_marked(signed: SignedMesh) -> None:
    signed.set("c", public_key=key(), addresses=["10.0.0.23"], endpoint="c.example:1")
    signed.commit("one more")
    for name in "abc":
        signed.set(name, endpoint=f"{name}.example:7")
    signed.commit("moves\n\nMesh-Allow: something")
    assert newest(signed) == ["no Mesh-Allow: all-endpoints", None, None]


def test_a_trailer_that_came_later_counts_if_an_admin_signed_it(signed: SignedMesh) -> None:
    removes(signed)
    signed.commit("gone")
    signed.sign_as(NODE_A)
    by_its_node(signed)
    signed.commit("node\n\nMesh-Allow: remove b\nMesh-Allow: empty-list")
    assert newest(signed) == [None, REMOVED, None]
    signed.sign_as("anna@example.org")
    signed.set("a", mtu=1300)
    signed.commit("meant\n\nMesh-Allow: remove b\nMesh-Allow: empty-list")
    assert newest(signed) == [None] * 4


def test_a_list_without_signers_has_a_guard_all_the_same(signed: SignedMesh) -> None:
    (signed.folder / "allowed_signers").unlink()
    signed.commit("no signers")
    signed.sign_as(None)
    signed.set("a", mtu=1300)
    signed.commit("unsigned")
    removes(signed)
    signed.commit("gone")
    assert newest(signed, "-n", 2) == [REMOVED, None]


def test_blame_marks_it_too(signed: SignedMesh) -> None:
    unsigned(signed)
    signed.commit("x")
    [mtu] = [one for one in blamed(signed) if one["key"] == "mtu"]
    assert mtu["set_by"]["refused"] == "not signed"
    assert "(not signed); nodes refuse it: not signed" in mesh_sync("blame", "b", "-C", signed.folder).fine()


def blamed(mesh: SignedMesh) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(mesh_sync("blame", "b", "--json", "-C", mesh.folder).fine())["keys"]
    return found
