"""What a terminal, a pipe or a shell may do to a command, and how the command ends."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from command import mesh_sync
from unit.list_keeper import Operator, key

MESH_SYNC = (sys.executable, "-c", "from mesh_sync.cli.main import main; main()")
PRINTS = (sys.executable, "-c", "from mesh_sync.terminal.exit import ending; ending(lambda: print('said last') or 0)")
WATCHDOG = (sys.executable, "-c", "from mesh_watchdog.cli import main; main()")
FULL = "input or output: No space left on device"
NOT_TEXT = "\udcff"
"""The byte 0xff, as Python has it in an argument."""


def run(*words: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*MESH_SYNC, *map(str, words)], capture_output=True, env={**os.environ, **(env or {})})


@pytest.mark.parametrize("words", ["check", "peer list", "-h", "peer -h", "plan HEAD", "export aws"])
def test_a_reader_that_has_enough_is_no_error_that_a_check_found(operator: Operator, words: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    if words == "check":
        operator.put("bad", "")  # so that it has something to print
    done = subprocess.run(
        [*MESH_SYNC, *words.split()], cwd=operator.place, stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_watchdogs_reader_may_have_enough_too() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*WATCHDOG, "-h"], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("words", ["check", "peer list", "-h", "plan HEAD", "export aws", "log", "graph", "nonsense"])
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_an_output_that_is_closed_changes_nothing_but_that_nothing_is_seen(
    operator: Operator, words: str, closed: str
) -> None:
    seen = subprocess.run([*MESH_SYNC, *words.split()], cwd=operator.place, capture_output=True)
    line = f"{shlex.join(MESH_SYNC)} {words} {closed}"
    done = subprocess.run(["sh", "-c", line], cwd=operator.place, capture_output=True)
    assert (done.returncode, done.stdout) == (seen.returncode, b"")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("program", [MESH_SYNC, WATCHDOG], ids=["mesh-sync", "mesh-watchdog"])
@pytest.mark.parametrize("closed", ["", "<&-"])
def test_an_output_that_takes_nothing_is_told_in_one_line(program: tuple[str, ...], closed: str) -> None:
    done = subprocess.run(["sh", "-c", f"{shlex.join(program)} -h >/dev/full {closed}"], capture_output=True, text=True)
    assert done.returncode == 6
    assert done.stderr.splitlines() == [f"mesh-{'watchdog' if program == WATCHDOG else 'sync'}: {FULL}"]


def test_an_output_that_takes_nothing_at_the_very_end_is_told_too() -> None:
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    line = f"{shlex.join(PRINTS)} >/dev/full"
    done = subprocess.run(["sh", "-c", line], env=buffered, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (6, f"mesh-sync: {FULL}\n")


def test_a_status_does_not_pass_over_a_table_with_which_no_watchdog_starts(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(
        'name = "a"\n[repository]\nurls = ["git://x/y"]\n[trust]\nmode = "none"\n[watchdog]\nnew = false\n'
        f'[paths]\nstate = "{tmp_path}"\nrun = "{tmp_path}"\n'
    )
    done = subprocess.run([*WATCHDOG, "status", "--config", config], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"mesh-watchdog: {config}:watchdog.new: unknown key; did you mean news?\n"


@pytest.mark.parametrize("encoding", ["iso-8859-1", "koi8-r"])
def test_what_a_terminal_has_no_letters_for_is_escaped(operator: Operator, encoding: str) -> None:
    operator.peer("set", "aws", "--owner", "Alžběta").fine()
    done = run("peer", "show", "aws", "-C", operator.place, env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    assert b"Al\\u017eb\\u011bta" in done.stdout


@pytest.mark.parametrize("words", [
    ("peer", "set", "aws", "--description", NOT_TEXT), ("peer", "set", "aws", "--tag", NOT_TEXT),
    ("peer", "add", "x", "--public-key", NOT_TEXT), ("peer", "add", "x", "--public-key", key(), "--endpoint", NOT_TEXT),
])  # fmt: skip
def test_bytes_that_are_no_text_are_told_and_not_written(operator: Operator, words: tuple[str, ...]) -> None:
    ended = operator.peer(*words[1:])
    assert ended.code == 2
    assert "'\\udcff' is not UTF-8 text" in ended.err
    assert operator.git.git.status("--porcelain") == ""


@pytest.mark.parametrize("name", [NOT_TEXT, "a\nb", "x" * 300])
def test_a_mesh_that_cannot_have_its_name_is_not_begun(tmp_path: Path, name: str) -> None:
    ended = mesh_sync("init", tmp_path / "mesh", "--name", name)
    assert ended.code == 2, name
    assert ended.err
    assert not (tmp_path / "mesh").exists()


@pytest.mark.parametrize("network", ["0.0.0.0/0", "127.0.0.0/8"])
def test_a_mesh_that_its_own_check_would_refuse_is_not_begun(tmp_path: Path, network: str) -> None:
    assert mesh_sync("init", tmp_path / "mesh", "--network", network).code == 2
    assert not (tmp_path / "mesh").exists()


def test_a_mesh_begins_in_any_locale(tmp_path: Path) -> None:
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = run(
        "init", tmp_path / "mesh", "--signer", "alice@example.org", "--signing-key", signing_key(tmp_path), env=env
    )
    assert done.returncode == 0, done.stderr
    mesh_sync("check", tmp_path / "mesh").fine()


def signing_key(folder: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / "id"], check=True)
    return folder / "id"


def test_a_command_that_is_told_can_be_pasted_whatever_the_folder_is_called(operator: Operator, tmp_path: Path) -> None:
    folder = tmp_path / "my keys"
    folder.mkdir()
    said = mesh_sync("init", folder / "mesh").fine()
    assert f"git -C '{folder}/mesh' push" in said
    operator.peer("add", "phone", "--new-key", folder / "phone.key", "--via", "aws", "--unmanaged").fine()
    (folder / "phone.key").chmod(0o644)
    ended = mesh_sync("export", "phone", "--private-key-file", folder / "phone.key", "-C", operator.place)
    assert f"chmod 600 '{folder}/phone.key'" in ended.err
