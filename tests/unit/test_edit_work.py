"""How often an edit looks at the whole list: once, unless what was wrong before has to be told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.check.examine import examine
from mesh_sync.mesh.tree import Tree
from mesh_sync.wireguard import keys
from mesh_sync.workspace import edit_peer, edit_secrets, working_copy
from mesh_sync.workspace.edit import Edit


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "mesh"
    mesh_sync("init", folder).fine()
    for number in (1, 2):
        mesh_sync("peer", "add", f"n{number}", "--public-key", key(), *reached(number), "-C", folder).fine()
    return folder


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of files at each look."""
    found: list[int] = []

    def counted(tree: Tree, *words: object, **more: object) -> object:
        found.append(len(tree.texts))
        return examine(tree, *words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(working_copy, "examine", counted)
    return found


def key() -> str:
    return keys.public_key(keys.generate())


def reached(number: int) -> tuple[str, str]:
    return "--endpoint", f"203.0.113.{number}:51820"


def test_a_peer_that_is_added_costs_one_look(place: Path, tmp_path: Path, looks: list[int]) -> None:
    edit = Edit(place)
    values = {"endpoint": ["203.0.113.9:51820"]}
    edit_peer.add(edit, "new", values, tmp_path / "new.key")
    assert not edit_secrets.shares_secret(edit, "new")
    assert len(looks) == 1
    edit_peer.remove(edit, "new")
    assert len(looks) == 2


def test_what_was_doubtful_before_is_told_apart_by_a_second_look(place: Path, looks: list[int]) -> None:
    edited = edit_peer.add(Edit(place), "hidden", {"public_key": key()})
    assert (edited.findings, len(looks)) == ((), 1)
    edited = edit_peer.add(Edit(place), "other", {"public_key": key()})
    assert {finding.file for finding in edited.findings} == {"peers/hidden.toml", "peers/other.toml"}
    assert len(looks) == 3
    edited = edit_peer.add(Edit(place), "third", {"public_key": key(), "endpoint": ["203.0.113.8:1"]})
    assert (edited.findings, len(looks)) == ((), 5), "neither is new"


def test_a_key_is_kept_only_for_a_peer_that_the_list_can_have(place: Path, tmp_path: Path) -> None:
    ended = mesh_sync("peer", "add", "new", "--new-key", tmp_path / "new.key", "--endpoint", "203.0.113.1:51820",
                      "-C", place)  # fmt: skip
    assert ended.code == 1
    assert not (tmp_path / "new.key").exists()
    assert not (place / "peers/new.toml").exists()


@pytest.mark.parametrize("managed", [True, False])
def test_who_shares_the_secret_is_read_from_two_files(place: Path, tmp_path: Path, managed: bool) -> None:
    edit = Edit(place)
    assert not edit_secrets.shares_secret(edit, "n1")
    mesh_sync("secret", "new", "--secret-file", tmp_path / "secret", "-C", place).fine()
    more = [] if managed else ["--unmanaged"]
    mesh_sync("peer", "add", "n3", "--public-key", key(), *reached(3), *more, "-C", place).fine()
    assert edit_secrets.shares_secret(edit, "n3") is managed
    assert edit_secrets.shares_secret(edit, "not-there")
    assert not edit_secrets.shares_secret(edit, "../mesh")
