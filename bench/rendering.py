"""Rows about rendering: one node's file, and all files beside wg-meshconf. Nothing is applied."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import meshes
from bench.series import Command, Row, measure

ROOT = Path(__file__).parents[1]
MESHCONF = ROOT / ".venv-bench/bin/wg-meshconf"
MESH_SYNC = Path(sys.executable).with_name("mesh-sync")
DEADLINE = 900
"""Seconds after which wg-meshconf is not waited for any more."""


def render(full: bool) -> Iterator[Row]:
    """One node of a mesh, from the bare repository to wg0.conf, and how that grows."""
    for count in (100, 300, 1000, 3000):
        with TemporaryDirectory() as name:
            place = Path(name)
            bare, head = meshes.repository(count, place)
            member = next(meshes.members(count))
            (place / "private.key").touch(mode=0o600)
            (place / "private.key").write_text(member.private_key)
            argv = [sys.executable, str(ROOT / "bench/one_node.py"), str(bare), head, name, member.name]
            (series,) = measure(21 if full else 7, Command(argv))
        goal, met = ("0.5 s, 60 MiB", series.seconds < 0.5 and series.mib < 60) if count == 1000 else ("", None)
        yield Row(f"render one node of {count:,}", series, goal=goal, met=met)


def everything(full: bool) -> Iterator[Row]:
    """All files of a mesh, beside wg-meshconf, and how both grow."""
    for count in (100, 300, 1000, 3000) if full else (100, 1000):
        with TemporaryDirectory() as name:
            place, out, database = Path(name), Path(name) / "out", Path(name) / "database.csv"
            meshes.repository(count, place)
            meshes.database(count, database)
            clean = ("rm", "-rf", str(out))
            ours = Command([str(MESH_SYNC), "render", str(place / "mesh"), "--all", "-o", str(out)], clean)
            theirs = Command([str(MESHCONF), "-d", str(database), "genconfig", "-o", str(out)], clean, DEADLINE)
            few = 1 if count > 1000 or not full else 3
            mine, other = measure(5 if count < 1000 else few, ours, theirs)
            more = measure(4 if few == 1 and count >= 1000 else 0, ours)[0]
        row = Row(f"render all {count:,} files", mine + more, "wg-meshconf 2.5.1 genconfig", other)
        if count == 1000:
            row = Row(row.name, row.ours, row.peer, other, "10 times quicker", (row.ratio or 1) <= 0.1)
        yield row
