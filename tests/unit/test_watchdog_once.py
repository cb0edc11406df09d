"""`mesh-watchdog once` says by its exit code whether everything could be read and written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mesh_sync.node.config import Node
from mesh_watchdog import service
from mesh_watchdog.report.status_file import memory_file, status_file
from unit.believed import applied_node


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node with a peer and without its interface: there is nothing to search for."""
    program = tmp_path / "bin/wg"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'Unable to access interface: No such device' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return applied_node(tmp_path)


def once(node: Node, folder: Path) -> int:
    config = folder / "node.toml"
    config.write_text(
        'name = "a"\n[repository]\nurls = ["x"]\n[trust]\nmode = "none"\n[paths]\n'
        + "".join(f'{name} = "{getattr(node.paths, name)}"\n' for name in ("state", "run", "wireguard"))
    )
    return service.once(config)


def test_what_a_pass_believes_and_shows_is_written(node: Node, tmp_path: Path) -> None:
    assert once(node, tmp_path) == 0
    assert memory_file(node).exists()
    assert status_file(node).exists()


@pytest.mark.parametrize("place", [memory_file, status_file], ids=["memory", "status"])
def test_a_file_that_cannot_be_written_is_said_by_the_exit_code(
    node: Node, tmp_path: Path, place: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(place)
    path: Path = place(node)
    path.with_name(f".{path.name}.new").mkdir(parents=True)  # in the way, also of root
    assert once(node, tmp_path) == 6
    assert f"{path} cannot be written" in caplog.text
