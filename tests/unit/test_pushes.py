"""One table of pushes to a git host with the hook: what the hook lets in is what a node takes."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from unit.git_host_and_node import MAIN, Both
from unit.hooked_git_host import install_hook
from unit.judging_node import ADMIN, NODE_B, SignedMesh
from unit.pushes import (
    STRANGER,
    Push,
    a_directory_called,
    a_peer_more,
    admin_merges,
    another_root,
    attributes_that_hide,
    beside_a_node,
    entry,
    entry_twice,
    good,
    key_added_and_used,
    like_a_node,
    node_merges,
    node_moves,
    node_taken_back,
    node_wants_more,
    older,
    pile,
    pile_of_a_node,
    rewritten,
    signed_by,
    this_node_leaves,
    this_node_leaves_as_meant,
    two_authors,
    unsigned_below,
)

ZEROS = "0" * 40


@pytest.fixture
def both(signed: SignedMesh, tmp_path: Path) -> Both:
    signed.sign_as(ADMIN)
    return Both(signed, tmp_path)


GOOD: dict[str, Push] = {
    "a signed change": good,
    "a peer more": a_peer_more,
    "a node that moves": node_moves,
    "an admin's merge of a node's commit": admin_merges,
    "a peer less, as meant": this_node_leaves_as_meant,
    "a file that may be executed": entry("100755", "blob", "run"),
    "many commits": pile,
    "an admin's, in place of a node's": beside_a_node(ADMIN),
    "no new commit": lambda both: None,
}
BAD: dict[str, tuple[Push, str]] = {
    "TOML that is none": (signed_by(ADMIN, "peers/b.toml", "= 1\n"), "is not valid TOML"),
    "a list with an error": (signed_by(ADMIN, "mesh.toml", 'format = 2\nname = "lab"\n'), "is not a format"),
    "attributes that hide a file": (attributes_that_hide, "is not valid TOML"),
    "unsigned": (signed_by(None), "is not signed"),
    "unsigned below": (unsigned_below, "is not signed"),
    "a stranger's": (signed_by(STRANGER), "a key that is not in allowed_signers"),
    "a key that the same push adds": (key_added_and_used, "counts from the next run on"),
    "an admin who looks like a node": (like_a_node, "is not the name of a node|could be taken for a node"),
    "a node that wants more": (node_wants_more, "may not change subnets"),
    "a node in another file": (signed_by(NODE_B), "may not change 'README.md'"),
    "a node that merges": (node_merges, "may not merge"),
    "this node leaves": (this_node_leaves, 'needs the line "Mesh-Allow: remove a"'),
    "a symbolic link in peers": (entry("120000", "blob", "c.toml", "peers"), "is a symbolic link"),
    "a symbolic link anywhere": (entry("120000", "blob", "zdocs"), "zdocs:: is a symbolic link"),
    "a submodule": (entry("160000", "commit", "zlib"), "is a submodule"),
    "a submodule below": (entry("160000", "commit", "zlib", "peers"), "is a submodule"),
    "an odd mode": (entry("100666", "blob", "zfile"), "zfile:: has the file mode 100666"),
    "a mode with zeros": (entry("0100644", "blob", "zfile"), "zero-padded file modes"),
    ".gitmodules": (signed_by(ADMIN, ".gitmodules", "[submodule]\n"), "configures git"),
    ".gitattributes": (signed_by(ADMIN, ".gitattributes", "* filter=x\n"), "makes git run a program"),
    ".git": (a_directory_called(".git"), "contains '.git'"),
    ".GIT": (a_directory_called(".GIT"), "contains '.git'"),
    "git~1": (a_directory_called("git~1"), "contains '.git'"),
    ".g it": (a_directory_called(".g\u200cit"), "contains '.git'"),
    "..": (a_directory_called(".."), "contains '..'"),
    "a name with a slash": (entry("100644", "blob", "peers/b.toml"), "contains full pathnames"),
    "names twice": (entry_twice, "duplicate|not properly sorted"),
    "a commit that git does not write": (two_authors, "multiple 'author' lines"),
    "back to an older commit": (older, "the branch was rewritten"),
    "a node's, in place of a node's": (beside_a_node(NODE_B), "only a commit that an admin has signed may take that"),
    "a node's commit taken back": (node_taken_back, "only a commit that an admin has signed may take that back"),
    "many commits of a node": (pile_of_a_node, "has signed 51 commits since the last commit of an admin"),
    "another way on from there": (rewritten, "the branch was rewritten"),
    "another beginning": (another_root, "the branch was rewritten"),
}


@pytest.mark.parametrize("prepare", GOOD.values(), ids=GOOD)
def test_both_take_it(both: Both, prepare: Push) -> None:
    prepare(both)
    assert both.push(f"+HEAD:{MAIN}") == (True, True), both.said
    assert both.head(both.hooked) == both.git("rev-parse", "HEAD")


@pytest.mark.parametrize(("prepare", "said"), BAD.values(), ids=BAD)
def test_both_refuse_it(both: Both, prepare: Push, said: str) -> None:
    prepare(both)
    before, applied = both.head(both.hooked), both.mesh.state.applied.commit
    taken, took = both.push(f"+HEAD:{MAIN}")
    assert (taken, took) == (False, False)
    assert (both.head(both.hooked), both.mesh.state.applied.commit) == (before, applied)
    assert any(words in both.said for words in said.split("|")), both.said


# -- what is no push of a commit to main


def test_other_branches_and_tags_are_no_mesh(both: Both) -> None:
    """A review needs a branch; nodes ask for their own one only."""
    signed_by(None)(both)
    both.git("tag", "v1")
    assert both.push("HEAD:refs/heads/join/c", "v1") == (True, True)
    assert both.head(both.hooked) == both.mesh.first


def test_the_branch_is_not_deleted(both: Both) -> None:
    both.git("config", "receive.denyDeleteCurrent", "ignore", at=both.hooked)
    assert not both.try_push(both.hooked, f":{MAIN}")
    assert f"{MAIN} is the mesh; it cannot be deleted" in both.said
    assert both.head(both.hooked) == both.mesh.first


def test_of_several_refs_all_come_in_or_none(both: Both) -> None:
    signed_by(None)(both)
    assert both.push("HEAD:refs/heads/x", f"HEAD:{MAIN}", "HEAD:refs/heads/z") == (False, False)
    assert both.head(both.hooked, "refs/heads/x") is None
    both.git("reset", "-q", "--hard", "HEAD~1")
    signed_by(None, text="proposal\n")(both)
    both.git("branch", "proposal")
    both.git("reset", "-q", "--hard", "HEAD~1")
    good(both)
    assert both.push(f"+HEAD:{MAIN}", "proposal") == (True, True)


def test_another_name_of_the_branch_is_the_branch(both: Both) -> None:
    """A symbolic ref that the host's owner has made, and one that the branch itself is."""
    both.git("symbolic-ref", "refs/heads/alias", MAIN, at=both.hooked)
    signed_by(None)(both)
    assert not both.try_push(both.hooked, "HEAD:refs/heads/alias")
    assert "is not signed" in both.said
    both.git("update-ref", "refs/heads/trunk", both.mesh.first, at=both.hooked)
    both.git("symbolic-ref", MAIN, "refs/heads/trunk", at=both.hooked)
    for name in ("trunk", "alias", "main"):
        assert not both.try_push(both.hooked, f"HEAD:refs/heads/{name}")
        assert "is not signed" in both.said
    both.git("reset", "-q", "--hard", "HEAD~1")
    good(both)
    assert both.try_push(both.hooked, "HEAD:refs/heads/trunk")


def replaced(both: Both, *, by_push: bool) -> list[str]:
    """The host has a replacement of the unsigned head: the signed commit before."""
    signed_by(None)(both)
    bad = both.git("rev-parse", "HEAD")
    name = f"refs/replace/{bad}"
    if by_push:
        return [f"+HEAD~1:{name}"]
    for host in (both.hooked, both.open):
        both.git("update-ref", name, both.mesh.first, at=host)
    return []


@pytest.mark.parametrize("by_push", [False, True], ids=["there", "pushed with it"])
def test_replacements_count_for_nothing(both: Both, by_push: bool) -> None:
    more = replaced(both, by_push=by_push)
    assert both.push(f"HEAD:{MAIN}", *more) == (False, False)
    assert "is not signed" in both.said
    for one in more:
        assert both.push(one)[0], "alone it changes nothing"


def test_grafts_of_the_host_count_for_nothing(both: Both) -> None:
    unsigned_below(both)
    head = both.git("rev-parse", "HEAD")
    for host in (both.hooked, both.open):
        (host / "info").mkdir(exist_ok=True)
        (host / "info/grafts").write_text(f"{head} {both.mesh.first}\n")
    assert both.push(f"HEAD:{MAIN}") == (False, False)
    assert "is not signed" in both.said


def test_a_host_may_borrow_objects_itself(both: Both, tmp_path: Path) -> None:
    store = tmp_path / "store.git"
    both.git("clone", "-q", "--mirror", str(both.hooked), str(store))
    borrower = tmp_path / "borrower.git"
    both.git("clone", "-q", "--bare", "--shared", str(store), str(borrower))
    install_hook(borrower)
    good(both)
    assert both.try_push(borrower, f"HEAD:{MAIN}"), both.said
    signed_by(None, text="bad\n")(both)
    assert not both.try_push(borrower, f"HEAD:{MAIN}")


def test_a_shallow_clone_pushes_as_long_as_nothing_is_missing(both: Both, tmp_path: Path) -> None:
    good(both)
    good_head = both.git("rev-parse", "HEAD")
    both.mesh.edit("README.md", "third\n")
    both.mesh.commit()
    clone = tmp_path / "clone"
    both.git("clone", "-q", "--depth=1", f"file://{both.mesh.work}", str(clone))
    both.mesh.work = str(clone)
    assert not both.try_push(both.hooked, f"HEAD:{MAIN}")
    assert both.head(both.hooked) == both.mesh.first
    both.git("config", "receive.shallowUpdate", "true", at=both.hooked)
    assert not both.try_push(both.hooked, f"HEAD:{MAIN}"), f"{good_head} is missing"


def test_an_empty_host_takes_a_mesh_without_errors_and_names_its_admins(both: Both, tmp_path: Path) -> None:
    for number, prepare in enumerate(
        (signed_by(ADMIN, "peers/b.toml", "= 1\n"), entry("120000", "blob", "zdocs"), None)
    ):
        empty = tmp_path / f"{number}.git"
        both.git("init", "-q", "--bare", "-b", "main", str(empty))
        install_hook(empty)
        if prepare:
            prepare(both)
        assert both.try_push(empty, f"HEAD:{MAIN}") is (prepare is None), both.said
        assert "would refuse" in both.said or f"{ADMIN}: warning: becomes an admin" in both.said
        both.git("reset", "-q", "--hard", both.mesh.first)


def test_options_of_a_push_change_nothing(both: Both) -> None:
    for host in (both.hooked, both.open):
        both.git("config", "receive.advertisePushOptions", "true", at=host)
    good(both)
    assert both.push("-o", "mesh-sync.branch=x", f"HEAD:{MAIN}") == (True, True)
    signed_by(None, text="bad\n")(both)
    assert both.push("-o", "skip", "-o", "--no-verify", "--no-verify", f"HEAD:{MAIN}") == (False, False)


@pytest.mark.parametrize(
    "environment",
    [
        "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=mesh-sync.branch GIT_CONFIG_VALUE_0=other",
        "GIT_CONFIG_PARAMETERS=\"'mesh-sync.branch'='other'\"",
        "GIT_REPLACE_REF_BASE=refs/heads/ GIT_NO_REPLACE_OBJECTS=",
        "GIT_NAMESPACE_X=y GIT_WORK_TREE=/ GIT_INDEX_FILE=/x",
        "GIT_PROTOCOL=version=2",
        "GIT_TRACE=1 GIT_ALLOW_PROTOCOL=ext LC_ALL=tr_TR.UTF-8 LANG=C",
        "PYTHONPATH=.",
    ],
)
def test_what_ssh_may_let_a_pusher_set_does_not_turn_the_check_off(both: Both, environment: str) -> None:
    receive = f"--receive-pack=env {environment} git-receive-pack"
    signed_by(None)(both)
    assert not both.try_push(both.hooked, receive, f"HEAD:{MAIN}")
    assert "is not signed" in both.said
    both.git("reset", "-q", "--hard", "HEAD~1")
    good(both)
    assert both.try_push(both.hooked, receive, f"HEAD:{MAIN}"), both.said


def test_of_two_pushes_at_once_one_comes_in(both: Both, tmp_path: Path) -> None:
    heads = []
    for number in range(2):
        both.git("reset", "-q", "--hard", both.mesh.first)
        signed_by(ADMIN, text=f"{number}\n")(both)
        heads.append(both.git("rev-parse", "HEAD"))
        both.git("branch", f"way{number}")
    with ThreadPoolExecutor() as pool:
        taken = list(pool.map(lambda number: pushed(both, f"way{number}:{MAIN}"), range(2)))
    assert sum(taken) == 1
    assert both.head(both.hooked) == heads[taken.index(True)]


def pushed(both: Both, ref: str) -> bool:
    other = Both.__new__(Both)
    other.mesh, other.environment = both.mesh, {}
    return other.try_push(both.hooked, ref)


def test_a_pusher_who_lies_about_what_was_there_is_not_believed(both: Both) -> None:
    """git would refuse the update afterwards; until then the check must not begin elsewhere."""
    signed_by(None)(both)
    bad = both.git("rev-parse", "HEAD")
    assert both.try_push(both.hooked, "HEAD:refs/heads/x")
    for old in (ZEROS, bad):
        ended = subprocess.run(
            [Path(sys.executable).with_name("mesh-sync"), "check", "--pre-receive"], cwd=both.hooked,
            input=f"{old} {bad} {MAIN}\n", env={**os.environ}, capture_output=True, text=True,
        )  # fmt: skip
        assert ended.returncode == 1
        assert f"{MAIN} is at {both.mesh.first[:10]}, not at {old[:10]}; fetch, and push again" in ended.stderr


def test_the_branch_may_have_another_name(both: Both) -> None:
    both.git("config", "mesh-sync.branch", "net/home", at=both.hooked)
    signed_by(ADMIN, "mesh.toml", "= 1\n")(both)
    assert not both.try_push(both.hooked, "HEAD:refs/heads/net/home")
    assert both.try_push(both.hooked, f"HEAD:{MAIN}")


def test_nothing_of_a_push_is_run_and_nothing_of_it_stays(both: Both, tmp_path: Path) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    both.environment = {"TMPDIR": str(place)}
    for name in ("mesh-sync", "sitecustomize.py", "mesh_sync/__init__.py", "hooks/pre-receive"):
        both.mesh.edit(name, f"#!/bin/sh\ntouch {tmp_path}/ran\nimport os; os.system('touch {tmp_path}/ran')\n")
        (both.mesh.folder / name).chmod(0o755)
    both.mesh.commit()
    assert both.push(f"HEAD:{MAIN}") == (True, True), both.said
    assert list(place.iterdir()) == []
    assert not (tmp_path / "ran").exists()
