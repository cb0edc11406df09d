"""A commit that is not signed is refused wherever in the history it hides, and so is history that was put in place of
another; the next good commit counts."""

from __future__ import annotations

import pytest

from e2e.signed_mesh import ADMIN, OTHER, accepts, back, refused, sh
from lab.mesh import Mesh, now, now_json, status

pytestmark = pytest.mark.e2e


def test_signed_commits_are_applied(signed: Mesh) -> None:
    signed.commit("one")
    signed.sign_as(OTHER)
    signed.commit("two")
    accepts(signed)
    assert now_json(signed.nodes["a"])["result"] == "in-sync"


def test_an_unsigned_head(signed: Mesh) -> None:
    signed.sign_as(None)
    bad = signed.push()
    assert refused(signed, bad) == f"commit {bad[:10]} is not signed"
    accepts(back(signed))


def test_an_unsigned_commit_under_a_signed_head(signed: Mesh) -> None:
    signed.sign_as(None)
    bad = signed.commit()
    signed.sign_as(ADMIN)
    head = signed.push()
    assert refused(signed, head) == f"commit {bad[:10]} is not signed"
    accepts(back(signed))


def test_an_unsigned_commit_in_a_side_branch_that_an_admin_merges(signed: Mesh) -> None:
    signed.git("checkout", "-q", "-b", "side")
    signed.sign_as(None)
    bad = signed.commit("side")
    signed.git("checkout", "-q", "main")
    signed.sign_as(ADMIN)
    signed.commit("main")
    signed.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    head = signed.push()
    assert refused(signed, head) == f"commit {bad[:10]} is not signed"
    accepts(back(signed))


def test_a_merge_whose_sides_are_all_signed_is_applied(signed: Mesh) -> None:
    signed.git("checkout", "-q", "-b", "good-side")
    signed.set("b", description="from the side")
    signed.commit("side")
    signed.git("checkout", "-q", "main")
    signed.git("merge", "-q", "--no-ff", "-m", "merge", "good-side")
    accepts(signed)


def test_going_back_to_an_older_signed_commit(signed: Mesh) -> None:
    older = signed.git("rev-parse", "HEAD")
    newest = accepts(signed)
    signed.publish(older, force=True)
    text = f"commit {older[:10]} is older than {newest[:10]}, which this node has seen: the remote went back"
    assert refused(signed, older) == text
    accepts(signed)


def test_rewritten_history(signed: Mesh) -> None:
    newest = accepts(signed)
    signed.git("reset", "-q", "--hard", "HEAD^")
    signed.set("b", description="another past")
    bad = signed.commit("instead")
    signed.publish(force=True)
    assert refused(signed, bad) == f"commit {bad[:10]} does not descend from {newest[:10]}: the branch was rewritten"
    signed.git("reset", "-q", "--hard", newest)
    accepts(signed)


def test_a_different_root(signed: Mesh) -> None:
    good = signed.git("rev-parse", "HEAD")
    signed.git("checkout", "-q", "--orphan", "other")
    bad = signed.commit("a history of its own")
    signed.publish(bad, force=True)
    assert refused(signed, bad).endswith("the branch was rewritten")
    signed.git("checkout", "-q", "-f", "main")
    assert signed.git("rev-parse", "HEAD") == good
    accepts(signed)


def test_a_different_root_from_the_first_day_on(signed: Mesh) -> None:
    """The commit that `join` has shown a person is the one that all others descend from."""
    a = signed.nodes["a"]
    first = "f" * 40
    signed.trust(a, ADMIN, first_commit=first)
    head = signed.push()
    text = f"commit {head[:10]} does not descend from {first[:10]}, where the trust of this node begins"
    assert refused(signed, head) == f"{text} (first_commit in node.toml)"


def test_the_first_head_has_to_be_signed_when_no_first_commit_is_known(signed: Mesh) -> None:
    a = signed.nodes["a"]
    signed.sign_as(None)
    signed.commit("long ago")
    bad = signed.push()
    signed.trust(a, ADMIN)
    assert refused(signed, bad) == f"commit {bad[:10]} is not signed"
    signed.sign_as(OTHER)
    bad = signed.push()
    assert refused(signed, bad).startswith(f"commit {bad[:10]} is signed by a key that is not in allowed_signers")
    accepts(signed)


def test_an_old_state_on_a_second_remote(signed: Mesh) -> None:
    """The first remote is away, and the second was never told of what this node has applied."""
    a = signed.nodes["a"]
    old = signed.git("rev-parse", "HEAD")
    copy = "/run/home/old.git"
    sh(a, f"rm -rf {copy}; git clone -q --bare {signed.url} {copy}")
    newest = accepts(signed)
    signed.configure(a, repository={"urls": ["git://203.0.113.250/mesh.git", copy], "deadline": 6})
    assert "is older than" in refused(signed, old)
    signed.configure(a, repository={"urls": [signed.url]})
    found = now_json(a)
    assert (found["result"], found["commit"], status(a)["refused_commits"]) == ("in-sync", newest, [])
    accepts(signed)


def test_a_remote_that_hides_its_history(signed: Mesh) -> None:
    """A shallow clone has no past to verify; what was fetched shallow before signatures counted is fetched anew."""
    a = signed.nodes["a"]
    signed.sign_as(None)
    signed.commit("hidden")
    signed.sign_as(ADMIN)
    bad = signed.push()
    shallow, state = "/run/home/shallow.git", "/var/lib/mesh-sync/wg0"
    sh(a, f"rm -rf {shallow}; git clone -q --bare --depth 1 {signed.url} {shallow}")
    signed.configure(a, repository={"urls": [shallow]})
    said = refused(signed, bad)
    assert said == f"{shallow} has a shortened (shallow) history: what is not there cannot be verified"
    sh(a, f"rm -rf {state}/repo.git; cp -r {shallow} {state}/repo.git; chown -R root: {state}")
    signed.configure(a, repository={"urls": [signed.url]})
    assert refused(signed, bad).endswith("is not signed")
    assert not a.path(f"{state}/repo.git/shallow").exists()
    accepts(back(signed))


def test_without_signatures_a_rewritten_branch_is_applied_and_reported(signed: Mesh) -> None:
    a = signed.nodes["a"]
    signed.configure(a, trust={"mode": "none"})
    now(a)
    newest = accepts(signed)
    signed.git("reset", "-q", "--hard", "HEAD^")
    signed.sign_as(None)
    signed.set("b", persistent_keepalive=17)
    other = signed.push(force=True)
    found = now_json(a)
    assert (found["result"], found["commit"]) == ("applied", other)
    assert found["message"] == f"the branch was rewritten: {other[:10]} does not descend from {newest[:10]}"
