"""Changing who may sign: nobody is locked out, and who is out stays out."""

from __future__ import annotations

import tomllib

import pytest

from e2e.joined_mesh import ALICE, CONFIG, Signed, follows
from lab import Lab
from lab.mesh import WORK, now, now_json, status

pytestmark = pytest.mark.e2e

NEW_KEY = "/run/home/.ssh/new"


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Signed:
    """Nodes a, b and c, all up to date."""
    mesh = Signed(lab)
    for number, name in enumerate("abc", start=21):
        mesh.member(name, number)
    for node in mesh.nodes.values():
        now(node)
    return mesh


def test_the_only_admin_changes_keys_and_a_node_that_was_away_catches_up(mesh: Signed) -> None:
    """The new key is added with the old one, the nodes take it, it signs, and the old one goes: docs/signers.md."""
    a, b, away = (mesh.nodes[name] for name in "abc")
    mesh.operator.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", NEW_KEY])
    [old] = [one for one in mesh.signers() if one["principal"] == ALICE]
    mesh.commit("signer", "add", ALICE, NEW_KEY)
    for node in (a, b):
        now(node)
    mesh.operator.run(["git", "-C", WORK, "config", "user.signingKey", NEW_KEY])
    mesh.commit("peer", "set", "a", "--description", "signed with the new key")
    mesh.commit("signer", "remove", str(old["fingerprint"]))
    last = mesh.commit("peer", "set", "b", "--description", "the old key is gone")
    assert (follows(a, last), follows(b, last)) == (0, 0)
    assert follows(away, last) == 1
    assert [one["fingerprint"] for one in mesh.signers() if one["principal"] == ALICE] != [old["fingerprint"]]


def test_a_key_that_was_taken_out_signs_nothing_any_more(mesh: Signed) -> None:
    before = mesh.head
    with mesh.signing_with("/run/home/.ssh/id_ed25519"):
        mesh.commit("peer", "set", "a", "--description", "the old key again")
    done = now(mesh.nodes["a"], exit_code=4)
    assert "is signed by" in done.stderr or "not in allowed_signers" in done.stderr
    assert status(mesh.nodes["a"])["commit"] == before
    mesh.rewind(before)
    now(mesh.nodes["a"])


def test_a_node_that_is_removed_can_push_nothing_any_more(mesh: Signed) -> None:
    """It may still reach the git host; what it pushes is refused, by all that have heard of its removal."""
    stolen, a = mesh.nodes.pop("c"), mesh.nodes["a"]
    head = mesh.commit("peer", "remove", "c")
    now(a)
    again = mesh.join(stolen, "c", exit_code=1)
    assert "allowed_signers does not have the signing key of c" in again.stderr
    work = "/run/home/mesh"
    stolen.run(["git", "clone", "-q", mesh.url, work])
    own = mesh.operator.run(["git", "-C", WORK, "show", "HEAD~1:peers/c.toml"]).stdout
    assert "c" not in tomllib.loads(own)
    stolen.path(f"{work}/peers/c.toml").write_text(own)
    sign = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={CONFIG}/signing.key"]
    stolen.run(["git", "-C", work, "add", "--all"])
    stolen.run(["git", "-C", work, *sign, "commit", "-q", "-S", "-m", "here I am"])
    stolen.run(["git", "-C", work, "push", "-q", "origin", "HEAD:main"])
    done = now_json(a, exit_code=4)
    assert (done["result"], done["commit"]) == ("refused", head)
    mesh.rewind(head)
    now(a)


def test_when_the_only_admins_key_is_lost_root_of_each_node_names_another(mesh: Signed) -> None:
    """The way out: a new key in the list, and by hand in every node's own file; first_commit goes."""
    a = mesh.nodes["a"]
    now(a)
    mesh.operator.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/run/home/.ssh/last"])
    public = mesh.operator.path("/run/home/.ssh/last.pub").read_text()
    with mesh.signing_with("/run/home/.ssh/last"):
        mesh.pull()
        mesh.run("signer", "add", "bob@example.org", "/run/home/.ssh/last", "--commit")
        last = mesh.push()
        now(a, exit_code=4)
        a.path(f"{CONFIG}/allowed_signers").write_text(f"bob@example.org {public}")
        file = a.path(f"{CONFIG}/node.toml")
        kept = [line for line in file.read_text().splitlines() if not line.startswith("first_commit")]
        file.write_text("\n".join(kept))
        now(a)
        assert status(a)["commit"] == last
        last = mesh.commit("peer", "set", "a", "--description", "bob goes on")
        assert follows(a, last) == 0
