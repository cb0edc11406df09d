"""`mesh-sync render -o`: where the files go."""

from __future__ import annotations

import stat
from pathlib import Path

from command import mesh_sync
from unit.list_keeper import Operator


def test_one_nodes_config_is_written_where_it_is_told(operator: Operator, tmp_path: Path) -> None:
    printed = mesh_sync("render", operator.place, "--node", "aws").fine()
    file = tmp_path / "aws.conf"
    ended = mesh_sync("render", operator.place, "--node", "aws", "-o", file)
    assert (ended.code, ended.out, ended.err) == (0, "", f"wrote {file}\n")
    assert file.read_text() == printed
    assert mesh_sync("render", operator.place, "--node", "aws", "-o", "-").fine() == printed
    assert mesh_sync("export", "aws", "-C", operator.place, "-o", "-").fine() == printed
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_private_key_is_not_written_into_the_repository(operator: Operator, tmp_path: Path) -> None:
    operator.peer("add", "pc", "--new-key", tmp_path / "pc.key", "--via", "aws").fine()
    words = ("render", operator.place, "--node", "pc", "--private-key-file", tmp_path / "pc.key", "-o")
    ended = mesh_sync(*words, operator.place / "pc.conf")
    assert ended.code == 2
    assert "is inside the mesh repository" in ended.err
    assert not (operator.place / "pc.conf").exists()
    mesh_sync(*words, tmp_path / "pc.conf").fine()
    assert (tmp_path / "pc.key").read_text().strip() in (tmp_path / "pc.conf").read_text()


def test_a_file_and_a_directory_are_not_taken_for_each_other(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert mesh_sync("render", operator.place, "--node", "aws", "-o", tmp_path).code == 2
    assert mesh_sync("render", operator.place, "--all", "-o", tmp_path / "file").code == 2
    mesh_sync("render", operator.place, "--all", "-o", tmp_path / "all").fine()
    assert [file.name for file in (tmp_path / "all").iterdir()] == ["aws.conf"]
