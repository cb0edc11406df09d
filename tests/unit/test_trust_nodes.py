"""A node's own key changes the node's own file, and there nothing that would bring it other machines' traffic."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh_sync.wireguard import keys
from unit.judging_node import ADMIN, NODE_A, NODE_B, SignedMesh, accepts, applied, back, findings, refused

OWN = "in peers/b.toml"
FORBIDDEN: dict[str, tuple[Callable[[SignedMesh], object], str]] = {
    "a default route": (lambda mesh: mesh.set("b", subnets=["0.0.0.0/0"]), f"change subnets {OWN}"),
    "another's file": (lambda mesh: mesh.set("a", mtu=1300), "change 'peers/a.toml', only peers/b.toml"),
    "the signers": (lambda mesh: mesh.allow(ADMIN, NODE_B), "change 'allowed_signers', only peers/b.toml"),
    "its file away": (lambda mesh: mesh.remove("b"), "delete peers/b.toml"),
    "a link": (
        lambda mesh: mesh.operator.run(["ln", "-sf", "a.toml", f"{mesh.work}/peers/b.toml"]),
        "make peers/b.toml anything but a plain file",
    ),
}
"""test_policy.py has them all; here, that they are read from the commits of a repository."""


@pytest.mark.parametrize(("spoil", "what"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_a_node_may_not_do(signed: SignedMesh, spoil: Callable[[SignedMesh], object], what: str) -> None:
    spoil(signed)
    signed.sign_as(NODE_B)
    bad = signed.push()
    assert refused(signed, bad) == f"commit {bad[:10]} is signed by {NODE_B}, who may not {what}"
    accepts(back(signed))


def test_what_a_node_may_do(signed: SignedMesh) -> None:
    new = keys.public_key(keys.generate())
    signed.set("b", public_key=new, endpoint="203.0.113.99:4500", description="moved", listen_port=4500)
    signed.sign_as(NODE_B)
    applied(signed, signed.push())


def test_a_new_node_adds_itself(signed: SignedMesh) -> None:
    new = keys.public_key(keys.generate())
    signed.edit("allowed_signers", "".join(map(signed.line, (ADMIN, NODE_A, NODE_B, "c@node.lab"))))
    applied(signed, signed.push("c may come"))
    signed.set("c", public_key=new, addresses=["10.0.0.30"], endpoint="203.0.113.30:51820")
    signed.sign_as("c@node.lab")
    applied(signed, signed.push())


def test_a_new_node_takes_no_address_of_another_not_even_of_one_that_is_off(signed: SignedMesh) -> None:
    off = {"public_key": keys.public_key(keys.generate()), "addresses": ["10.0.0.40"], "enabled": False}
    signed.set("off", **off)
    signed.edit("allowed_signers", "".join(map(signed.line, (ADMIN, NODE_A, NODE_B, "c@node.lab"))))
    applied(signed, signed.push("c may come"))
    signed.set("c", public_key=keys.public_key(keys.generate()), addresses=["10.0.0.40"])
    signed.sign_as("c@node.lab")
    bad = signed.push()
    assert findings(signed, bad) == ["peers/off.toml:addresses[0]: 10.0.0.40 is also an address of c"]
    accepts(back(signed))


def test_the_policy_gives_a_node_more(signed: SignedMesh) -> None:
    signed.edit("policy.toml", '[nodes]\nb = ["subnets"]\n')
    applied(signed, signed.push("b is a gateway"))
    signed.set("b", subnets=["192.168.7.0/24"])
    signed.sign_as(NODE_B)
    applied(signed, signed.push())
    signed.set("b", subnets=["0.0.0.0/0"])
    bad = signed.push()
    text = f"commit {bad[:10]} is signed by {NODE_B}, who may not change subnets {OWN} to more than an IPv4 /8 together"
    assert refused(signed, bad) == text
    accepts(back(signed))


def test_a_policy_that_is_wrong(signed: SignedMesh) -> None:
    signed.edit("policy.toml", '[nodes]\nz = ["subnets"]\n[node]\n')
    bad = signed.push()
    assert findings(signed, bad) == ["policy.toml:node: unknown key", "policy.toml:nodes.z: there is no peer 'z'"]
    accepts(back(signed))


@pytest.mark.parametrize("evil", [True, False], ids=["evil", "plain"])
def test_a_merge_by_a_node(signed: SignedMesh, evil: bool) -> None:
    """Its own file is all it may change, and a merge hides in whose name it changes the rest."""
    signed.git("checkout", "-q", "-B", "side")
    signed.set("b", description="side")
    signed.sign_as(NODE_B)
    signed.commit("side")
    signed.git("checkout", "-q", "main")
    signed.sign_as(ADMIN)
    signed.set("a", description="main")
    signed.commit("main")
    signed.sign_as(NODE_B)
    signed.git("merge", "-q", "--no-ff", "--no-commit", "side")
    if evil:
        signed.set("b", subnets=["0.0.0.0/0"])
    bad = signed.push("merge")
    assert refused(signed, bad) == f"commit {bad[:10]} is signed by {NODE_B}, who may not merge"
    accepts(back(signed))
