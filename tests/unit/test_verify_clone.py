"""Histories of a real repository with real signatures, verified as a node that trusts the base would."""

from __future__ import annotations

import subprocess

import pytest

from mesh_sync.errors import ConfigError
from mesh_sync.trust import verify_commits
from mesh_sync.trust.verify_history import verify_clone
from unit.signed_history import ANNA, EVE, KEYS, OTTO, A, B, History, line


def test_nothing_new_is_nothing_wrong(history: History) -> None:
    assert verify_clone(history.place, "base").verified == 0


def test_a_row_of_signed_commits(history: History) -> None:
    for signer in (ANNA, OTTO) * 20:
        history.commit(signer)
    found = verify_clone(history.place, "base")
    assert (found.problems, found.verified, found.trusted) == ((), 40, history.git("rev-parse", "HEAD"))


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_how_many_are_looked_at_together_makes_no_difference(
    history: History, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits of admins and nodes in turns, of which one node's changes more than its own file."""
    monkeypatch.setattr(verify_commits, "AT_ONCE", at_once)
    monkeypatch.setattr(verify_commits, "MOST_AT_ONCE", 4 * at_once)
    good = [
        history.commit(who, **{file: f'public_key = "K{file}"\nmtu = {1300 + number}\n'})
        for number, (who, file) in enumerate([(ANNA, "b"), (A, "a"), (B, "b")] * 3)
    ]
    bad = history.commit(A, b='public_key = "mine"\n')
    history.commit(ANNA)
    found = verify_clone(history.place, "base")
    assert (found.verified, found.trusted, found.reached) == (len(good), good[-3], good[-1])
    assert found.problems == (
        f"commit {bad[:10]} is signed by {A}, who may not change 'peers/b.toml', only peers/a.toml",
    )


def test_every_commit_that_does_not_count_is_named_once(history: History) -> None:
    history.on("one")
    one = history.commit(None)
    history.commit(ANNA)
    history.on("two")
    two = history.commit(EVE)
    history.merge(ANNA, "one")
    first, second = sorted(history.problems(), key=lambda problem: two[:10] in problem)
    assert first == f"commit {one[:10]} is not signed"
    assert second.startswith(f"commit {two[:10]} is signed by a key that is not in allowed_signers")
    assert history.trusted() == history.git("rev-parse", "base")


def test_what_is_good_before_a_bad_commit_is_trusted(history: History) -> None:
    history.commit(ANNA)
    good = history.commit(OTTO)
    history.commit(None)
    history.commit(ANNA)
    assert history.trusted() == good


def test_a_bad_side_branch_keeps_nobody_from_going_on(history: History) -> None:
    """Otherwise a key that the main line adds could never sign a side branch that is older."""
    history.on("side")
    history.commit(EVE)
    history.on("main")
    adding = history.commit(ANNA, ANNA, EVE)
    history.merge(ANNA, "side")
    assert history.trusted() == adding
    assert history.problems(adding) == [
        f"commit {history.git('rev-parse', 'side')[:10]} is signed by {EVE}, "
        f"whose key is not in allowed_signers at commit {history.git('rev-parse', 'base')[:10]}"
    ]


def test_no_side_branch_takes_trust_back_to_an_older_list(history: History) -> None:
    history.on("side")
    history.commit(ANNA)
    history.on("main")
    removing = history.commit(ANNA, ANNA)
    history.git("tag", "-f", "base", removing)
    history.merge(ANNA, "side")
    history.commit(None)
    assert history.trusted() == history.git("rev-parse", "HEAD^")
    history.git("reset", "-q", "--hard", "HEAD^^")
    history.git("merge", "-q", "--no-ff", "-m", "unsigned", "side")
    assert history.trusted() == removing


def test_a_removed_key_signs_nothing_after_its_removal(history: History) -> None:
    history.commit(OTTO)
    history.commit(OTTO, ANNA, A, B)
    assert history.problems() == []
    removed = history.git("rev-parse", "HEAD")
    bad = history.commit(OTTO)
    assert history.problems() == [
        f"commit {bad[:10]} is signed by {OTTO}, whose key is not in allowed_signers at commit {removed[:10]}"
    ]


def test_a_key_that_is_limited_in_the_same_push_is_limited(history: History) -> None:
    history.commit(ANNA, ANNA, line(OTTO, 'valid-before="20200101Z"'))
    bad = history.commit(OTTO)
    assert history.problems() == [f"commit {bad[:10]} is signed by {OTTO}, whose key expired at 20200101Z"]


def test_a_key_that_is_demoted_in_the_same_push_is_demoted(history: History) -> None:
    demoted = line(OTTO).replace(OTTO, B)
    history.commit(ANNA, ANNA, demoted)
    bad = history.commit(OTTO, b='public_key = "K2"\n')
    assert history.problems() == [f"commit {bad[:10]} is signed by {OTTO}, whose key belongs to no node of this mesh"]


def test_what_a_node_may_change(history: History) -> None:
    history.commit(A, a='public_key = "K2"\n')
    assert history.problems() == []


def test_what_a_node_may_not_change(history: History) -> None:
    bad = history.commit(A, b='public_key = "K2"\n')
    text = f"commit {bad[:10]} is signed by {A}, who may not change 'peers/b.toml', only peers/a.toml"
    assert history.problems() == [text]


def test_a_merge_by_a_node(history: History) -> None:
    history.on("side")
    history.commit(A, a='public_key = "K2"\n')
    history.on("main")
    history.commit(B, b='public_key = "K2"\n')
    bad = history.merge(A, "side")
    assert history.problems() == [f"commit {bad[:10]} is signed by {A}, who may not merge"]


def test_a_policy_counts_where_it_stood_before(history: History) -> None:
    """Given in the same push it counts from the next run on, like a key; taken away, it counts at once."""
    history.write("policy.toml", '[nodes]\na = ["tags"]\n')
    given = history.commit(ANNA)
    history.commit(A, a='public_key = "Ka"\ntags = ["x"]\n')
    assert history.problems() != []
    assert history.problems(given) == []
    history.write("policy.toml", "")
    history.commit(ANNA)
    bad = history.commit(A, a='public_key = "Ka"\ntags = ["y"]\n')
    assert history.problems(given) == [f"commit {bad[:10]} is signed by {A}, who may not change tags in peers/a.toml"]


def test_a_key_of_a_node_of_another_mesh(history: History) -> None:
    foreign = line(B).replace("@node.lab", "@node.other")
    base = history.commit(ANNA, ANNA, foreign)
    bad = history.commit(B, b='public_key = "K2"\n')
    said = f"commit {bad[:10]} is signed by b@node.other, whose key belongs to no node of this mesh"
    assert history.problems(base) == [said]


def test_a_list_nobody_can_go_on_with_is_not_trusted_and_can_be_put_right(history: History) -> None:
    bad = history.commit(ANNA, A)
    assert history.problems() == [
        f"commit {bad[:10]} leaves no admin with a valid key in allowed_signers: correct the list"
    ]
    assert history.trusted() == history.git("rev-parse", "base")
    good = history.commit(OTTO, ANNA)
    assert (history.problems(), history.trusted()) == ([], good)


def test_a_root_in_the_range(history: History) -> None:
    """A history of its own, merged: an admin may, and answers for it; each of its commits is signed too."""
    history.git("checkout", "-q", "--orphan", "other")
    bad = history.commit(A)
    history.git("checkout", "-q", "main")
    history.git(*history.signing(ANNA), "merge", "-q", "--allow-unrelated-histories", "-s", "ours", "-m", "m", "other")
    assert history.problems() == [f"commit {bad[:10]} is signed by {A}, who may not begin a history"]


def test_replaced_and_grafted_objects_are_not_looked_at(history: History) -> None:
    """What a clone's own git would show in place of a commit is not what a node gets."""
    bad = history.commit(None)
    good = history.commit(ANNA)
    history.git("replace", bad, history.git("rev-parse", "base"))
    (history.place / ".git/info").mkdir(exist_ok=True)
    (history.place / ".git/info/grafts").write_text(f"{good} {history.git('rev-parse', 'base')}\n")
    assert history.problems() == [f"commit {bad[:10]} is not signed"]


def test_settings_of_the_clone_have_no_say(history: History) -> None:
    history.git("config", "gpg.ssh.program", "/bin/true")
    history.git("config", "gpg.ssh.allowedSignersFile", "/dev/null")
    history.git("config", "gpg.ssh.revocationFile", str(KEYS[ANNA]) + ".pub")
    history.git("config", "log.showSignature", "true")
    assert history.problems() == []
    bad = history.commit(EVE)
    assert history.problems()[0].startswith(f"commit {bad[:10]} is signed by a key that is not in")


def test_a_rewritten_branch(history: History) -> None:
    history.commit(ANNA)
    tip = history.git("rev-parse", "HEAD")
    history.git("reset", "-q", "--hard", "HEAD^")
    bad = history.commit(ANNA, message="instead")
    assert history.problems(tip) == [f"commit {bad[:10]} does not descend from {tip[:10]}: the branch was rewritten"]


def test_a_linked_work_tree_does_as_well(history: History, tmp_path_factory: pytest.TempPathFactory) -> None:
    history.commit(None)
    place = tmp_path_factory.mktemp("linked") / "tree"
    history.git("worktree", "add", "-q", "--detach", str(place))
    assert len(verify_clone(place, "base").problems) == 1


def test_what_cannot_be_verified_at_all(history: History, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        verify_clone(history.place, "nowhere")
    with pytest.raises(ConfigError, match="cannot be read"):
        verify_clone(tmp_path_factory.mktemp("no repository"), "base")
    history.commit(ANNA)
    shallow = tmp_path_factory.mktemp("shallow")
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{history.place}", str(shallow)], check=True)
    with pytest.raises(ConfigError, match="shallow"):
        verify_clone(shallow, "HEAD")
    history.git("rm", "-q", "allowed_signers")
    history.commit(ANNA)
    with pytest.raises(ConfigError, match="has no allowed_signers"):
        verify_clone(history.place, "HEAD")
