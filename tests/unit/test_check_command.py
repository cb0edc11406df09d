"""`mesh-sync check` on what is no mesh repository, and on files that it would not read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.check.repository_rules import MOST_UNREAD
from unit.list_keeper import Operator


@pytest.mark.parametrize("option", [(), ("--json",), ("--since", "HEAD")])
def test_a_home_directory_is_not_read_through_for_keys(tmp_path: Path, option: tuple[str, ...]) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_ed25519").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    ended = mesh_sync("check", tmp_path, *option)
    assert ended.code == 2
    assert "is not a mesh repository: it has no mesh.toml" in ended.err
    assert "private key" not in ended.out + ended.err


@pytest.mark.parametrize(
    "words",
    [("export", "pc"), ("render", "--node", "pc"), ("render", "--all", "-o", "out"), ("plan",), ("plan", "HEAD"),
     ("log",), ("blame", "pc"), ("peer", "list"), ("graph",)],
)  # fmt: skip
@pytest.mark.parametrize("versioned", [False, True])
def test_nor_by_any_other_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], versioned: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    if versioned:
        for git in (
            ["init", "-q"],
            ["add", "."],
            ["commit", "-qm", "dot files"],
            ["commit", "-qm", "x", "--allow-empty"],
        ):
            subprocess.run(["git", *git], check=True)
    ended = mesh_sync(*words)
    assert ended.code == 2 or (versioned and words == ("log",)), ended.err
    assert "compromised" not in ended.out + ended.err


@pytest.mark.parametrize(("path", "words"), [
    ("peers/pc.TOML", "is not read under this name; rename it to peers/pc.toml"),
    ("Peers/pc.toml", "is not read under this name; rename it to peers/pc.toml"),
    ("Secrets/pc.toml", "is not read under this name; rename it to secrets/pc.toml"),
    ("Policy.toml", "is not read under this name; rename it to policy.toml"),
    ("allowed_Signers", "is not read under this name; rename it to allowed_signers"),
    ("peers/pc.tml", "is not read: the file of a peer is named NAME.toml"),
    ("peers/pc", "is not read: the file of a peer is named NAME.toml"),
])  # fmt: skip
def test_a_file_that_declares_nothing_under_its_name_is_named(operator: Operator, path: str, words: str) -> None:
    (operator.place / path).parent.mkdir(exist_ok=True)
    (operator.place / path).write_text(operator.aws)
    ended = mesh_sync("check", operator.place)
    assert f"{path}:: warning: {words}" in ended.out
    assert ended.code == 0


@pytest.mark.parametrize(
    "path", ["peers/.gitkeep", "peers/README", "peers/new.toml.sample", "hub.toml", "docs/Peers.md"]
)
def test_files_for_people_are_left_alone(operator: Operator, path: str) -> None:
    (operator.place / path).parent.mkdir(exist_ok=True)
    (operator.place / path).write_text("")
    ended = mesh_sync("check", operator.place)
    assert (ended.code, ended.out) == (0, "")


def test_of_many_files_that_are_not_read_the_first_are_named(operator: Operator) -> None:
    for number in range(MOST_UNREAD + 5):
        (operator.place / f"peers/pc{number}").touch()
    assert len(mesh_sync("check", operator.place).fine().splitlines()) == MOST_UNREAD


def test_below_a_mesh_repository_its_place_is_told(operator: Operator) -> None:
    below = operator.place / "docs"
    below.mkdir()
    assert f"there is one above: -C {operator.place}" in mesh_sync("peer", "list", "-C", below).err
    assert f"there is one above: {operator.place}" in mesh_sync("check", below).err


@pytest.mark.parametrize("base", ["", " "])
def test_a_base_that_a_script_left_empty_is_not_taken_for_a_first_push(operator: Operator, base: str) -> None:
    ended = mesh_sync("check", operator.place, "--since", base)
    assert ended.code == 2
    assert "--since: BASE is empty" in ended.err
    mesh_sync("check", operator.place, "--since", "0" * 40).fine()


def test_a_plan_with_three_dots_is_told(operator: Operator) -> None:
    ended = mesh_sync("plan", "HEAD...main", "-C", operator.place)
    assert ended.code == 2
    assert "has three dots" in ended.err
    assert "HEAD..main" in ended.err
