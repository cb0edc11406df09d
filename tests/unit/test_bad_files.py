"""Files that no mesh repository should have: links, submodules, pipes, and private keys anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mesh_sync.mesh.tree import SUBMODULE, SYMLINK, Entry, choose
from mesh_sync.wireguard import keys
from unit.bad_list import GOOD, LABEL, LEAKED, MESH, PRIVATE, check, peer

# -- not a plain file


def test_a_symbolic_link_in_place_of_a_file(tmp_path: Path) -> None:
    outside = tmp_path / "outside.toml"
    outside.write_text(peer(1))
    folder = tmp_path / "mesh"
    (folder / "peers").mkdir(parents=True)
    (folder / "peers/c.toml").symlink_to(outside)
    assert check(folder, GOOD) == ["peers/c.toml:: is a symbolic link; replace it with a plain file"]


def test_a_directory_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "mesh"
    folder.mkdir()
    (folder / "peers").symlink_to(tmp_path / "elsewhere")
    assert check(folder, {"mesh.toml": MESH}) == ["peers:: is a symbolic link; replace it with a plain file"]


def test_a_submodule_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "peers/c.toml").mkdir(parents=True)
    assert check(tmp_path, GOOD) == ["peers/c.toml:: is a directory; replace it with a plain file"]
    (tmp_path / "peers/c.toml/.git").write_text("gitdir: ../../.git/modules/c")
    assert check(tmp_path, GOOD) == ["peers/c.toml:: is a submodule; a mesh repository holds plain files"]


def test_a_pipe_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "peers").mkdir()
    os.mkfifo(tmp_path / "peers/c.toml")
    assert check(tmp_path, GOOD) == ["peers/c.toml:: is not a plain file"]


def test_links_and_submodules_of_a_commit_are_told_by_their_modes() -> None:
    entries = [Entry("peers/c.toml", SYMLINK, 9), Entry("docs", SUBMODULE, 0), Entry("peers/d.toml", 0o100755, 5)]
    wanted, found = choose(entries)
    assert [entry.path for entry in wanted] == ["peers/d.toml"], "an executable file is a file"
    assert list(map(str, found)) == [
        "peers/c.toml:: is a symbolic link; replace it with a plain file",
        "docs:: is a submodule; a mesh repository holds plain files",
    ]


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "peers").mkdir()
    Path(os.fsdecode(bytes(tmp_path) + b"/peers/\xff.toml")).write_text(peer(3))
    assert check(tmp_path, GOOD) == [f"peers/\\udcff.toml:: the peer name '\\udcff' {LABEL}"]


# -- private keys

PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nxxxx\n-----END OPENSSH PRIVATE KEY-----\n"
HALF = "contains the private key of a public key in this mesh; it is compromised, make a new one"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("README.md", f"my PrivateKey = {PRIVATE}\n"),
        ("docs/notes.txt", f'private_key: "{PRIVATE}"'),
        ("wg0.conf", f"[Interface]\nPrivateKey={PRIVATE}\n"),
        ("deploy_key", PEM),
        ("backup.bin", b"\0\xff" * 200_000 + PEM.encode()),
    ],
    ids=["README", "notes", "wg-quick file", "PEM", "large file"],
)
def test_a_private_key_anywhere(tmp_path: Path, path: str, text: str | bytes) -> None:
    lines = check(tmp_path, {**GOOD, path: text})
    assert lines == [f"{path}:: {LEAKED}"]


def test_a_private_key_in_a_peers_file(tmp_path: Path) -> None:
    lines = check(tmp_path, {**GOOD, "peers/a.toml": peer(1, private_key=f'"{PRIVATE}"')})
    assert lines == [f"peers/a.toml:: {LEAKED}", "peers/a.toml:private_key: unknown key"]
    assert PRIVATE not in "".join(lines)


@pytest.mark.parametrize("path", ["README.md", "peers/c.toml"])
def test_a_private_key_without_a_label_beside_its_public_half(tmp_path: Path, path: str) -> None:
    holder = peer(3, public_key=f'"{keys.public_key(PRIVATE)}"')
    files = {**GOOD, "peers/c.toml": holder}
    files[path] = (holder if path == "peers/c.toml" else "") + f"# {PRIVATE}\n"
    assert check(tmp_path, files) == [f"{path}:: {HALF}"]


def test_a_private_key_in_place_of_the_public_one(tmp_path: Path) -> None:
    """Nobody can tell by its looks, so it counts when the public half is somewhere in the list."""
    files = {**GOOD, "peers/a.toml": peer(1, public_key=f'"{PRIVATE}"')}
    files["peers/b.toml"] = peer(2, next_public_key=f'"{keys.public_key(PRIVATE)}"')
    assert check(tmp_path, files) == [f"peers/a.toml:: {HALF}"]
