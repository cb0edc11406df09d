"""The command line as a whole: everything explains itself, and nothing a person does ends in a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from command import mesh_sync
from mesh_sync.cli.main import LazyGroup, cli

ROOT = Path(__file__).parents[2]
KEY = f"{'A' * 42}I="


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands())
MAKERS = {("init",), ("join",), ("import",), ("host",)}
"""They make a directory that is not there, and host a user of the system."""
READERS = [path for path, command in COMMANDS.items() if not isinstance(command, click.Group) and path not in MAKERS]


def needed(command: click.Command) -> list[str]:
    """Something for every argument that must be there."""
    arguments = [one for one in command.params if isinstance(one, click.Argument) and one.required]
    return [one.type.choices[0] if isinstance(one.type, click.Choice) else "x" for one in arguments]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_says_what_it_does(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    assert command.help.strip().partition("\n")[0].endswith((".", ":"))
    silent = [one.name for one in command.params if isinstance(one, click.Option) and not one.help]
    assert silent == []


@pytest.mark.parametrize("group", [cli, COMMANDS["peer",]], ids=["mesh-sync", "peer"])
def test_a_groups_help_says_of_a_command_what_the_command_says(group: click.Command) -> None:
    assert isinstance(group, LazyGroup)
    for name, (_, words) in ((name, line) for section in group.sections.values() for name, line in section.items()):
        command = group.get_command(click.Context(group), name)
        assert command
        assert (command.help or "").startswith(words)


@pytest.mark.parametrize(("command", "needs"), [
    ("main", set()), ("node", set()), ("check", {"mesh_sync.mesh.model"}),
    ("peer_show", {"mesh_sync.mesh.model"}), ("export", {"mesh_sync.mesh.model", "nacl", "segno"}),
])  # fmt: skip
def test_a_command_imports_no_library_that_it_does_not_need(command: str, needs: set[str]) -> None:
    code = f"import sys, mesh_sync.cli.{command}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"dns", "git", "mesh_sync.mesh.model", "nacl", "rich", "segno", "tomlkit"}
    assert heavy & set(result.stdout.split()) <= needs


@pytest.mark.parametrize("path", [(), *COMMANDS], ids=" ".join)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_everywhere(path: tuple[str, ...], option: str) -> None:
    assert mesh_sync(*path, option).fine().startswith(f"Usage: {' '.join(['mesh-sync', *path])}")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_an_unknown_option_is_a_sentence(path: tuple[str, ...]) -> None:
    ended = mesh_sync(*path, "--no-such-thing")
    assert ended.code == 2
    assert "--no-such-thing" in ended.err


@pytest.mark.parametrize("path", READERS, ids=" ".join)
@pytest.mark.parametrize("place", ["missing", "a file", "empty", "not utf-8", "a folder for mesh.toml", "a loop"])
def test_no_command_shows_a_traceback_for_a_bad_directory(
    path: tuple[str, ...], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = bad_place(tmp_path, place)
    command = COMMANDS[path]
    words = [*path, *needed(command)]
    options = {option for one in command.params for option in one.opts}
    if "--public-key" in options:
        words += ["--public-key", "x"]
    if "--node" in options:
        words += ["--node", "aws"]
    if "-C" in options:
        words += ["-C", str(directory)]
    elif "directory" in options:
        words += [str(directory)]
    elif "--config" in options:
        words += ["--config", str(directory / "node.toml")]
    ended = mesh_sync(*words)
    assert ended.code in (1, 2, 6)
    assert ended.err.strip()


def bad_place(tmp_path: Path, kind: str) -> Path:
    place = tmp_path / "mesh"
    if kind == "a file":
        place.write_text("")
    elif kind == "a loop":
        place.symlink_to(place)
    elif kind != "missing":
        place.mkdir()
    if kind == "not utf-8":
        (place / "mesh.toml").write_bytes(b"\xff")
        (place / "node.toml").write_bytes(b"\xff")
    if kind == "a folder for mesh.toml":
        (place / "mesh.toml").mkdir()
        (place / "node.toml").mkdir()
    return place


def test_now_as_json_is_an_object_even_when_it_fails(tmp_path: Path) -> None:
    ended = mesh_sync("now", "--json", "--config", tmp_path / "node.toml")
    assert ended.code == 2
    found = json.loads(ended.out)
    assert (found["node"], found["result"], found["changes"], found["commit"]) == (None, "failed", [], None)
    assert "does not exist" in found["message"]
    assert "does not exist" in ended.err


def test_a_directory_that_may_not_be_read_is_a_sentence(tmp_path: Path) -> None:
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    program = [*powerless, sys.executable, "-c", "from mesh_sync.cli.main import main; main()", "check", str(tmp_path)]
    tmp_path.chmod(0)
    try:
        result = subprocess.run(program, capture_output=True, text=True)
    finally:
        tmp_path.chmod(0o700)
    assert result.returncode == 2
    assert "not readable" in result.stderr


def test_a_full_disk_or_a_closed_pipe_is_no_traceback(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from mesh_sync.cli.main import main; main()", "-h"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True)
    assert "Traceback" not in result.stderr
    assert "No space left" in result.stderr


@pytest.mark.parametrize("words", ["plan", "init {0}/mesh", f"peer add x --public-key {KEY} --commit -C {{0}}/made"])
def test_a_machine_without_git_is_told_so(words: str, tmp_path: Path) -> None:
    mesh_sync("init", tmp_path / "made").fine()
    program = [sys.executable, "-c", "from mesh_sync.cli.main import main; main()", *words.format(tmp_path).split()]
    result = subprocess.run(program, env={**os.environ, "PATH": "/nonexistent"}, capture_output=True, text=True)
    assert result.returncode == 2
    assert "git is not installed" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_reference_is_what_the_commands_say() -> None:
    result = subprocess.run([sys.executable, ROOT / "script/reference.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
