"""What a node makes of the history that a remote offers, wherever in it a bad commit hides."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from mesh_sync.node.config import Trust
from unit.judging_node import ADMIN, OTHER, Here, SignedMesh, accepts, applied, back, refused


def test_signed_commits_are_applied(signed: SignedMesh) -> None:
    signed.commit("one")
    signed.sign_as(OTHER)
    signed.commit("two")
    accepts(signed)
    assert signed.look().problem is None


def test_an_unsigned_head(signed: SignedMesh) -> None:
    signed.sign_as(None)
    bad = signed.push()
    assert refused(signed, bad) == f"commit {bad[:10]} is not signed"
    accepts(back(signed))


def test_an_unsigned_commit_under_a_signed_head(signed: SignedMesh) -> None:
    signed.sign_as(None)
    bad = signed.commit()
    signed.sign_as(ADMIN)
    head = signed.push()
    assert refused(signed, head) == f"commit {bad[:10]} is not signed"
    accepts(back(signed))


def test_an_unsigned_commit_in_a_side_branch_that_an_admin_merges(signed: SignedMesh) -> None:
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


def test_a_merge_whose_sides_are_all_signed_is_applied(signed: SignedMesh) -> None:
    signed.git("checkout", "-q", "-b", "good-side")
    signed.set("b", description="from the side")
    signed.commit("side")
    signed.git("checkout", "-q", "main")
    signed.git("merge", "-q", "--no-ff", "-m", "merge", "good-side")
    accepts(signed)


def test_going_back_to_an_older_signed_commit(signed: SignedMesh) -> None:
    older = signed.git("rev-parse", "HEAD")
    newest = accepts(signed)
    signed.publish(older, force=True)
    text = f"commit {older[:10]} is older than {newest[:10]}, which this node has seen: the remote went back"
    assert refused(signed, older) == text
    accepts(signed)


def test_rewritten_history(signed: SignedMesh) -> None:
    newest = accepts(signed)
    signed.git("reset", "-q", "--hard", "HEAD^")
    signed.set("b", description="another past")
    bad = signed.commit("instead")
    signed.publish(force=True)
    assert refused(signed, bad) == f"commit {bad[:10]} does not descend from {newest[:10]}: the branch was rewritten"
    signed.git("reset", "-q", "--hard", newest)
    accepts(signed)


def test_a_different_root(signed: SignedMesh) -> None:
    good = signed.git("rev-parse", "HEAD")
    signed.git("checkout", "-q", "--orphan", "other")
    bad = signed.commit("a history of its own")
    signed.publish(bad, force=True)
    assert refused(signed, bad).endswith("the branch was rewritten")
    signed.git("checkout", "-q", "-f", "main")
    assert signed.git("rev-parse", "HEAD") == good
    accepts(signed)


def test_a_different_root_from_the_first_day_on(signed: SignedMesh) -> None:
    """The commit that `join` has shown a person is the one that all others descend from."""
    first = "f" * 40
    signed.trust(ADMIN, first_commit=first)
    head = signed.push()
    text = f"commit {head[:10]} does not descend from {first[:10]}, where this node's trust begins"
    assert refused(signed, head) == f"{text} (first_commit in node.toml)"


def test_the_first_head_has_to_be_signed_when_no_first_commit_is_known(signed: SignedMesh) -> None:
    signed.sign_as(None)
    signed.commit("long ago")
    bad = signed.push()
    signed.trust(ADMIN)
    assert refused(signed, bad) == f"commit {bad[:10]} is not signed"
    signed.sign_as(OTHER)
    bad = signed.push()
    assert refused(signed, bad).startswith(f"commit {bad[:10]} is signed by a key that is not in allowed_signers")
    accepts(signed)


def test_an_old_state_on_a_second_remote(signed: SignedMesh, tmp_path: Path) -> None:
    """The first remote is away, and the second was never told of what this node has applied."""
    old = signed.git("rev-parse", "HEAD")
    copy = str(tmp_path / "old.git")
    Here().run(["git", "clone", "-q", "--bare", signed.url, copy])
    newest = accepts(signed)
    signed.ask(str(tmp_path / "nothing"), copy)
    assert "is older than" in refused(signed, old)
    signed.ask(signed.url)
    applied(signed, newest)
    accepts(signed)


def test_without_signatures_a_rewritten_branch_is_applied_and_reported(signed: SignedMesh) -> None:
    signed.node = evolve(signed.node, trust=Trust(mode="none"))
    newest = accepts(signed)
    signed.git("reset", "-q", "--hard", "HEAD^")
    signed.sign_as(None)
    signed.set("b", persistent_keepalive=17)
    other = signed.push(force=True)
    assert signed.look().notes == (f"the branch was rewritten: {other[:10]} does not descend from {newest[:10]}",)
    assert signed.state.applied.commit == other
