"""A node's own key changes the node's own file, and there nothing that would bring it other machines' traffic."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.signed_mesh import ADMIN, NODE_A, NODE_B, accepts, back, refused
from lab.mesh import WORK, Mesh, dump, now_json
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

OWN = "in peers/b.toml"
FORBIDDEN: dict[str, tuple[Callable[[Mesh], object], str]] = {
    "a default route": (lambda mesh: mesh.set("b", subnets=["0.0.0.0/0"]), f"change subnets {OWN}"),
    "another's network": (lambda mesh: mesh.set("b", subnets=["192.168.7.0/24"]), f"change subnets {OWN}"),
    "another address": (lambda mesh: mesh.set("b", addresses=["10.0.0.99"]), f"change addresses {OWN}"),
    "a relay": (lambda mesh: mesh.set("b", via="a"), f"change via {OWN}"),
    "tags": (lambda mesh: mesh.set("b", tags=["trusted"]), f"change tags {OWN}"),
    "itself enabled": (lambda mesh: mesh.set("b", enabled=True), f"change enabled {OWN}"),
    "another's file": (lambda mesh: mesh.set("a", mtu=1300), "change 'peers/a.toml', only peers/b.toml"),
    "another peer": (lambda mesh: mesh.edit("peers/c.toml", "x = 1"), "change 'peers/c.toml', only peers/b.toml"),
    "the signers": (lambda mesh: mesh.allow(ADMIN, NODE_B), "change 'allowed_signers', only peers/b.toml"),
    "mesh.toml": (lambda mesh: mesh.set_mesh(mtu=1300), "change 'mesh.toml', only peers/b.toml"),
    "the policy": (
        lambda mesh: mesh.edit("policy.toml", '[nodes]\nb = ["subnets"]\n'),
        "change 'policy.toml', only peers/b.toml",
    ),
    "its file away": (lambda mesh: mesh.remove("b"), "delete peers/b.toml"),
    "a link": (
        lambda mesh: mesh.operator.run(["ln", "-sf", "a.toml", f"{WORK}/peers/b.toml"]),
        "make peers/b.toml anything but a plain file",
    ),
    "no TOML": (lambda mesh: mesh.edit("peers/b.toml", "= 1"), "change peers/b.toml where it is not valid TOML"),
}


@pytest.mark.parametrize(("spoil", "what"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_a_node_may_not_do(signed: Mesh, spoil: Callable[[Mesh], object], what: str) -> None:
    spoil(signed)
    signed.sign_as(NODE_B)
    bad = signed.push()
    assert refused(signed, bad) == f"commit {bad[:10]} is signed by {NODE_B}, who may not {what}"
    accepts(back(signed))


def test_what_a_node_may_do(signed: Mesh) -> None:
    a = signed.nodes["a"]
    new = keys.public_key(keys.generate())
    signed.set("b", public_key=new, endpoint="203.0.113.99:4500", description="moved", listen_port=4500)
    signed.sign_as(NODE_B)
    commit = signed.push()
    found = now_json(a)
    assert (found["result"], found["commit"]) == ("applied", commit)
    assert dump(a)[new]["endpoint"] == "203.0.113.99:4500"


def test_a_new_node_adds_itself(signed: Mesh) -> None:
    a, new = signed.nodes["a"], keys.public_key(keys.generate())
    signed.edit("allowed_signers", "".join(map(signed.line, (ADMIN, NODE_A, NODE_B, "c@node.lab"))))
    signed.push("c may come")
    now_json(a)
    signed.set("c", public_key=new, addresses=["10.0.0.30"], endpoint="203.0.113.30:51820")
    signed.sign_as("c@node.lab")
    commit = signed.push()
    assert now_json(a)["commit"] == commit
    assert dump(a)[new]["allowed_ips"] == "10.0.0.30/32"


def test_a_new_node_takes_no_address_of_another_not_even_of_one_that_is_off(signed: Mesh) -> None:
    a = signed.nodes["a"]
    off = {"public_key": keys.public_key(keys.generate()), "addresses": ["10.0.0.40"], "enabled": False}
    signed.set("off", **off)
    signed.edit("allowed_signers", "".join(map(signed.line, (ADMIN, NODE_A, NODE_B, "c@node.lab"))))
    signed.push("c may come")
    now_json(a)
    signed.set("c", public_key=keys.public_key(keys.generate()), addresses=["10.0.0.40"])
    signed.sign_as("c@node.lab")
    bad = signed.push()
    found = now_json(a, exit_code=4)
    assert found["message"] == f"commit {bad[:10]} has 1 error"
    assert found["findings"][0]["message"] == "10.0.0.40 is also an address of c"
    accepts(back(signed))


def test_the_policy_gives_a_node_more(signed: Mesh) -> None:
    a = signed.nodes["a"]
    signed.edit("policy.toml", '[nodes]\nb = ["subnets"]\n')
    signed.push("b is a gateway")
    now_json(a)
    signed.set("b", subnets=["192.168.7.0/24"])
    signed.sign_as(NODE_B)
    commit = signed.push()
    assert now_json(a)["commit"] == commit
    signed.set("b", subnets=["0.0.0.0/0"])
    bad = signed.push()
    text = f"commit {bad[:10]} is signed by {NODE_B}, who may not change subnets {OWN} to more than an IPv4 /8 together"
    assert refused(signed, bad) == text
    accepts(back(signed))


def test_a_policy_that_is_wrong(signed: Mesh) -> None:
    signed.edit("policy.toml", '[nodes]\nz = ["subnets"]\n[node]\n')
    bad = signed.push()
    found = now_json(signed.nodes["a"], exit_code=4)
    assert [(each["key"], each["message"]) for each in found["findings"] if each["file"] == "policy.toml"] == [
        ("node", "unknown key"),
        ("nodes.z", "there is no peer 'z'"),
    ]
    assert found["remote_commit"] == bad
    accepts(back(signed))


@pytest.mark.parametrize("evil", [True, False], ids=["evil", "plain"])
def test_a_merge_by_a_node(signed: Mesh, evil: bool) -> None:
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
