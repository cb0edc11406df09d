"""`--commit`: what is checked is what is committed, and without a commit nothing is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.check.examine import examine
from mesh_sync.findings import errors
from mesh_sync.workspace.preview import files_at
from unit.list_keeper import Operator, key


def peer(address: str) -> str:
    return f'public_key = "{key()}"\naddresses = ["{address}"]\n'


def committed(operator: Operator, message: str = "more") -> None:
    operator.git.git.add("--all")
    operator.git.git(c=["user.name=Alice", "user.email=alice@example.org"]).commit("--quiet", "-m", message)


def hook(operator: Operator, name: str, script: str) -> None:
    file = operator.place / ".git/hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\nset -e\n{script}\n")
    file.chmod(0o755)


def attributes(operator: Operator, line: str) -> None:
    (operator.place / ".git/info").mkdir(exist_ok=True)
    (operator.place / ".git/info/attributes").write_text(line + "\n")


def state(operator: Operator) -> tuple[str, str, str]:
    """HEAD, what git sees, and what it has staged."""
    return operator.git.head.commit.hexsha, operator.git.git.status("--porcelain"), operator.git.git.diff("--cached")


def blob(operator: Operator, path: str) -> str:
    return str(operator.git.git.show(f"HEAD:{path}", strip_newline_in_stdout=False))


def relay_not_committed(operator: Operator) -> tuple[str, ...]:
    operator.put("hub", peer("10.0.0.7") + 'endpoint = "203.0.113.7:1"\n')
    return "--via", "hub"


def relay_staged(operator: Operator) -> tuple[str, ...]:
    words = relay_not_committed(operator)
    operator.git.git.add("peers/hub.toml")
    return words


def relay_ignored(operator: Operator) -> tuple[str, ...]:
    (operator.place / ".gitignore").write_text("peers/hub.toml\n")
    committed(operator)
    return relay_not_committed(operator)


def network_not_committed(operator: Operator) -> tuple[str, ...]:
    file = operator.place / "mesh.toml"
    file.write_text(file.read_text().replace("fd00::/64", "10.9.0.0/24"))
    operator.put("aws", operator.aws.replace('"fd00::1",', ""))
    return "--address", "10.9.0.2"


def network_assumed_unchanged(operator: Operator) -> tuple[str, ...]:
    operator.git.git.update_index("--assume-unchanged", "mesh.toml", "peers/aws.toml")
    return network_not_committed(operator)


def removal_not_committed(operator: Operator) -> tuple[str, ...]:
    (operator.place / "peers/aws.toml").unlink()
    return "--address", "10.0.0.1"


def sparse_checkout(operator: Operator) -> tuple[str, ...]:
    operator.git.git.sparse_checkout("set", "--no-cone", "/mesh.toml", "/peers/phone.toml")
    assert not operator.has("aws")
    return ()


def spoiling_filter(operator: Operator) -> tuple[str, ...]:
    attributes(operator, "peers/* filter=spoil")
    operator.git.git.config("filter.spoil.clean", "sed s/addresses/adresses/")
    return ()


def encoding(operator: Operator) -> tuple[str, ...]:
    attributes(operator, "peers/* working-tree-encoding=UTF-16")
    return ()


def hook_that_adds_to_the_file(operator: Operator) -> tuple[str, ...]:
    hook(operator, "pre-commit", "echo 'mtu = 3' >>peers/phone.toml; git add peers/phone.toml")
    return ()


def hook_that_adds_another_file(operator: Operator) -> tuple[str, ...]:
    hook(operator, "pre-commit", "git update-index --force-remove mesh.toml")
    return ()


WAYS = (
    relay_not_committed, relay_staged, relay_ignored, network_not_committed, network_assumed_unchanged,
    removal_not_committed, sparse_checkout, spoiling_filter, encoding, hook_that_adds_to_the_file,
    hook_that_adds_another_file,
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_way_leads_to_a_broken_list_in_a_commit(
    operator: Operator, way: Callable[[Operator], tuple[str, ...]]
) -> None:
    words = way(operator)
    before = state(operator)
    ended = operator.add("phone", *words, "--commit")
    assert ended.code == 1
    assert "nothing was written" in ended.err
    assert state(operator) == before
    assert not operator.has("phone")


@pytest.mark.parametrize("hidden", ["ignored", "assumed unchanged", "not in a sparse checkout"])
def test_a_file_that_git_does_not_look_at_is_committed_all_the_same(operator: Operator, hidden: str) -> None:
    if hidden == "ignored":
        (operator.place / ".gitignore").write_text("peers/\n")
        committed(operator)
    else:
        operator.add("phone", "--via", "aws", "--commit").fine()
    if hidden == "assumed unchanged":
        operator.git.git.update_index("--assume-unchanged", "peers/phone.toml")
    if hidden == "not in a sparse checkout":
        operator.git.git.sparse_checkout("set", "--no-cone", "/*", "!/peers/phone.toml")
        operator.put("phone", blob(operator, "peers/phone.toml"))
    words = ("set", "phone", "--mtu", 1400) if operator.has("phone") else ("add", "phone", "--public-key", key())
    assert "committed" in operator.peer(*words, "--commit").fine()
    assert blob(operator, "peers/phone.toml") == operator.file("phone")


def test_broken_files_that_are_not_committed_do_not_stand_in_the_way(operator: Operator) -> None:
    operator.put("draft", "mtu = 3")
    ended = operator.add("phone", "--via", "aws", "--commit")
    assert "committed" in ended.fine()
    assert "peers/draft.toml:mtu: 3 is not an MTU" in ended.err
    assert "that the working copy has from before" in ended.err
    tree = files_at(operator.place, "HEAD")
    assert set(tree.texts) == {"mesh.toml", "peers/aws.toml", "peers/phone.toml"}
    assert not errors(examine(tree, datetime.now(UTC))[1])


def test_line_ends_are_those_that_git_is_told_to_commit(operator: Operator) -> None:
    operator.git.git.config("core.autocrlf", "true")
    (operator.place / "peers/aws.toml").write_bytes(operator.aws.replace("\n", "\r\n").encode())
    operator.peer("set", "aws", "--mtu", 1400, "--commit").fine()
    assert blob(operator, "peers/aws.toml") == operator.aws + "mtu = 1400\n"
    assert operator.git.git.status("--porcelain") == ""


def test_a_peer_whose_commit_was_refused_can_be_added_again(operator: Operator) -> None:
    hook(operator, "pre-commit", "echo 'ask first' >&2; exit 1")
    before = state(operator)
    ended = operator.add("phone", "--via", "aws", "--commit")
    assert ended.code == 1
    assert "nothing was written, git refused the commit: ask first" in ended.err
    assert state(operator) == before
    (operator.place / ".git/hooks/pre-commit").unlink()
    operator.add("phone", "--via", "aws", "--commit").fine()


def test_hooks_lie_where_the_settings_say_and_run_where_git_runs_them(operator: Operator) -> None:
    operator.git.git.config("core.hooksPath", ".hooks")
    (operator.place / ".hooks").mkdir()
    file = operator.place / ".hooks/pre-commit"
    file.write_text("#!/bin/sh\ntest -f mesh.toml || exit 2\necho 'ask first' >&2\nexit 1\n")
    file.chmod(0o755)
    ended = operator.add("phone", "--via", "aws", "--commit")
    assert (ended.code, "git refused the commit: ask first" in ended.err) == (1, True)
    file.chmod(0o644)
    operator.add("phone", "--via", "aws", "--commit").fine()


def test_a_link_that_was_not_removed_after_all_is_a_link_again(operator: Operator) -> None:
    (operator.place / "peers/link.toml").symlink_to("nowhere")
    committed(operator)
    hook(operator, "pre-commit", "exit 1")
    before = state(operator)
    assert "git refused the commit" in operator.peer("remove", "link", "--commit").err
    assert state(operator) == before
    (operator.place / ".git/hooks/pre-commit").unlink()
    operator.peer("remove", "link", "--commit").fine()


def test_an_edit_that_is_interrupted_leaves_nothing(operator: Operator) -> None:
    hook(operator, "pre-commit", "touch .git/begun; sleep 60")
    before = state(operator)
    words = ["peer", "add", "phone", "--public-key", key(), "--commit", "-C", str(operator.place)]
    program = [sys.executable, "-c", "from mesh_sync.cli.main import main; main()", *words]
    with subprocess.Popen(program, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        while not (operator.place / ".git/begun").exists():
            assert process.poll() is None
            time.sleep(0.01)
        assert operator.has("phone")
        os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == 130
    assert state(operator) == before


def test_hooks_see_the_file_and_what_they_make_of_it_is_committed(operator: Operator) -> None:
    hook(operator, "pre-commit", "echo '# checked' >>peers/phone.toml; git add peers/phone.toml")
    hook(operator, "prepare-commit-msg", 'test "$2" = message; printf "\\nBy: a hook\\n" >>"$1"')
    hook(operator, "commit-msg", 'grep -q "phone: joins" "$1"')
    hook(operator, "post-commit", "git rev-parse HEAD >.git/told; exit 1")
    operator.add("phone", "--via", "aws", "--commit").fine()
    head = operator.git.head.commit
    assert head.message == "phone: joins the mesh\n\nBy: a hook\n"
    assert blob(operator, "peers/phone.toml").endswith("# checked\n")
    assert (operator.place / ".git/told").read_text().strip() == head.hexsha
    assert operator.git.git.status("--porcelain") == ""


def test_a_hook_that_replaces_the_commit_is_reported(operator: Operator) -> None:
    amend = "git -c user.name=x -c user.email=x@x commit --quiet --amend --no-verify -m other"
    hook(operator, "post-commit", f"test -e .git/once || {{ touch .git/once; {amend}; }}")
    ended = operator.add("phone", "--via", "aws", "--commit")
    assert ended.code == 1
    assert "a hook then moved HEAD" in ended.err
    assert operator.has("phone")
    assert operator.git.git.status("--porcelain") == ""


def test_while_another_git_has_the_index_nothing_is_committed(operator: Operator) -> None:
    before = state(operator)
    (operator.place / ".git/index.lock").touch()
    ended = operator.add("phone", "--via", "aws", "--commit")
    assert ended.code == 1
    assert "index.lock" in ended.err
    (operator.place / ".git/index.lock").unlink()
    assert state(operator) == before
    assert not operator.has("phone")


def test_a_branch_that_moved_meanwhile_is_not_moved_back(operator: Operator) -> None:
    words = 'c=$(git commit-tree -m other -p HEAD "HEAD^{tree}"); git update-ref HEAD "$c"'
    hook(operator, "commit-msg", f"export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@x; {words}")
    operator.git.git.config("user.name", "Alice")
    operator.git.git.config("user.email", "alice@example.org")
    assert operator.add("phone", "--via", "aws", "--commit").code == 1
    assert operator.git.head.commit.message == "other\n"
    assert operator.git.git.status("--porcelain") == ""


def test_a_list_below_the_top_of_a_repository_is_not_committed(operator: Operator, tmp_path: Path) -> None:
    below = operator.place / "below"
    mesh_sync("init", below).fine()
    subprocess.run(["rm", "-rf", below / ".git"], check=True)
    ended = mesh_sync("peer", "add", "phone", "--public-key", key(), "--commit", "-C", below)
    assert ended.code == 2
    assert "nodes would look for the list at the top" in ended.err


def test_before_the_first_commit_there_is_nothing_that_a_change_could_follow(tmp_path: Path) -> None:
    mesh_sync("init", tmp_path / "mesh").fine()
    subprocess.run(["rm", "-rf", tmp_path / "mesh/.git"], check=True)
    subprocess.run(["git", "init", "--quiet", tmp_path / "mesh"], check=True)
    ended = mesh_sync("peer", "add", "phone", "--public-key", key(), "--commit", "-C", tmp_path / "mesh")
    assert ended.code == 2
    assert "has no commit yet" in ended.err
    assert not (tmp_path / "mesh/peers/phone.toml").exists()


def test_the_environment_of_another_repository_does_not_lead_the_commit_there(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path / "other"], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other/.git/index"))
    operator.add("phone", "--via", "aws", "--commit").fine()
    monkeypatch.undo()
    assert operator.git.head.commit.message == "phone: joins the mesh\n"


def test_who_the_commit_is_by_is_said_when_git_does_not_know_the_person(operator: Operator) -> None:
    ended = operator.add("phone", "--via", "aws", "--commit")
    assert ended.code == 0
    assert "git does not know who you are" in ended.err
    assert operator.git.head.commit.author.name == "mesh-sync"
    operator.git.git.config("user.name", "Alice")
    operator.git.git.config("user.email", "alice@example.org")
    ended = operator.peer("set", "phone", "--mtu", 1400, "--commit")
    assert (ended.code, ended.err) == (0, "")
    assert operator.git.head.commit.author.name == "Alice"


def test_who_begins_a_signed_mesh_is_its_signer(operator: Operator, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    made = tmp_path / "new"
    ended = mesh_sync("init", made, "--signer", "alice@example.org", "--signing-key", tmp_path / "key")
    assert (ended.code, ended.err) == (0, "")
    ended = mesh_sync("peer", "add", "aws", "--public-key", key(), "--endpoint", "a:1", "-C", made, "--commit")
    assert (ended.code, ended.err) == (0, "")
    by = subprocess.run(["git", "-C", made, "log", "--format=%an <%ae>"], check=True, capture_output=True, text=True)
    assert by.stdout == "alice <alice@example.org>\n" * 2


def test_who_begins_a_mesh_is_said_too(operator: Operator, tmp_path: Path) -> None:
    ended = mesh_sync("init", tmp_path / "new")
    assert ended.code == 0
    assert "git does not know who you are" in ended.err
