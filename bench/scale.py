"""How what people and nodes run grows with the mesh: CPU time and peak memory at each size, and the exponent.

The exponent is that between the last two sizes: 1 is work that doubles with the mesh, 2 what every peer adds for every
other one.
"""

from __future__ import annotations

import base64
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen
from bench import meshes
from bench.living import declare, grow, on, small
from bench.series import Command, Series, duration, measure
from bench.table import Lines

from lab import Lab, available
from lab.mesh import Mesh
from lab.node import Node
from mesh_sync.wireguard.keys import public_key

MESH_SYNC = str(Path(sys.executable).with_name("mesh-sync"))
SIZES = (1000, 3000, 10_000)
LIVING = (1000, 3000, 5000, 10_000)
FORGET = "ip link delete wg0; rm -rf /var/lib/mesh-sync/*; true"
NOTE = (
    "Medians of CPU time, with that of its children, and of peak memory; exponents of CPU between the last two sizes."
)


@frozen
class Goal:
    """What CPU time (seconds) and peak memory (MiB, if it has a goal) may be, by size."""

    seconds: Mapping[int, float]
    mib: float = math.inf

    def __str__(self) -> str:
        most = [f"{size:,}: {duration(seconds)}" for size, seconds in self.seconds.items()]
        return ", ".join(most) + (f", {self.mib:.0f} MiB" if self.mib < math.inf else "")

    def met(self, found: Mapping[int, Series]) -> bool | None:
        """None where a size was not measured."""
        if not self.seconds.keys() <= found.keys():
            return None
        return all(found[size].cpu <= most and found[size].mib <= self.mib for size, most in self.seconds.items())


GOALS = {
    "plan, one peer added": Goal({10_000: 5.0}, 100),
    "graph": Goal({10_000: 2.0}, 200),
    "check": Goal({10_000: 1.4}, 65),
    "peer list": Goal({10_000: 1.4}, 65),
    "render --node": Goal({10_000: 1.4}, 65),
    "export": Goal({10_000: 1.4}, 65),
    "peer add": Goal({10_000: 1.0}),
    "first apply": Goal({5000: 5.0}),
    "now, one peer more": Goal({1000: 0.3, 10_000: 1.0}),
    "now, idle": Goal({1000: 0.08, 5000: 0.1}),
}


def scale(runs: int) -> Iterator[Lines]:
    """A table of what people run on a working copy, and one of what a node runs in the network lab."""
    yield _table(SIZES, _collected(_on_disk(size, runs) for size in SIZES))
    if not (reason := available()):
        yield _table(LIVING, _collected(_living(size, runs) for size in LIVING))
    else:
        print(f"bench: rows that need the lab are left out: {reason}", file=sys.stderr)


Found = Iterator[tuple[str, int, Series]]


def _on_disk(size: int, runs: int) -> Found:
    with TemporaryDirectory() as name:
        place = Path(name)
        meshes.repository(size - 1, place)
        work = place / "mesh"
        phone = meshes.Member(size, base64.b64encode(b"p" * 32).decode())
        more = meshes.Member(size + 1, base64.b64encode(b"m" * 32).decode())
        (work / "peers/phone.toml").write_text(phone.toml + "managed = false\n")
        for argv in (["add", "."], ["commit", "-q", "-m", "one more"]):
            subprocess.run(["git", *meshes.IDENTITY, *argv], cwd=work, check=True)
        where = ["-C", str(work)]
        words = ["--public-key", public_key(more.private_key), "--endpoint", f"{more.host}:51820"]
        commands = {
            "plan, one peer added": Command([MESH_SYNC, "plan", *where]),
            "graph": Command([MESH_SYNC, "graph", str(work)]),
            "check": Command([MESH_SYNC, "check", str(work)]),
            "peer list": Command([MESH_SYNC, "peer", "list", *where]),
            "render --node": Command([MESH_SYNC, "render", str(work), "--node", "node5"]),
            "export": Command([MESH_SYNC, "export", "phone", *where]),
            "peer add": Command(
                [MESH_SYNC, "peer", "add", more.name, *words, *where],
                ["rm", "-f", str(work / f"peers/{more.name}.toml")],
            ),
        }
        for (row, _), series in zip(commands.items(), measure(runs, *commands.values()), strict=True):
            yield row, size, series


def _living(size: int, runs: int) -> Found:
    with Lab() as lab:
        mesh, node = small(lab)
        grow(mesh, size)
        forget = Command(["mesh-sync", "now"], before=["sh", "-c", FORGET])
        yield "first apply", size, measure(runs, forget, run=on(node))[0]
        yield "now, one peer more", size, _one_more(mesh, node, runs, size)
        yield "now, idle", size, measure(3 * runs, Command(["mesh-sync", "now"]), run=on(node))[0]


def _one_more(mesh: Mesh, node: Node, runs: int, size: int) -> Series:
    member, series = meshes.Member(size + 1, next(meshes.members(1)).private_key), Series(())
    for _ in range(runs):
        declare(mesh, member)
        mesh.push()
        series += measure(1, Command(["mesh-sync", "now"]), run=on(node))[0]
        mesh.remove(member.name)
        mesh.push()
        on(node)(["mesh-sync", "now"], "")
    return series


def _collected(found: Iterator[Found]) -> dict[str, dict[int, Series]]:
    rows: dict[str, dict[int, Series]] = {}
    for some in found:
        for row, size, series in some:
            print(f"{row}  {size:,}  {cell(series)}", file=sys.stderr, flush=True)
            rows.setdefault(row, {})[size] = series
    return rows


def _table(sizes: Sequence[int], rows: Mapping[str, Mapping[int, Series]]) -> Lines:
    lines: list[tuple[str, ...]] = [("what", *(f"{size:,} peers" for size in sizes), "exponent", "runs", "goal", "met")]
    for row, found in rows.items():
        goal = GOALS[row]
        met = {True: "yes", False: "NO", None: ""}[goal.met(found)]
        runs = str(min(len(series.samples) for series in found.values()))
        lines.append((row, *(cell(found[size]) for size in sizes), f"{exponent(found):.1f}", runs, str(goal), met))
    return lines


def cell(series: Series) -> str:
    """CPU time and peak memory."""
    return f"{duration(series.cpu)}, {series.mib:.0f} MiB"


def exponent(found: Mapping[int, Series]) -> float:
    """By which power of the size CPU time grows between the last two sizes."""
    one, other = sorted(found)[-2:]
    return math.log(found[other].cpu / found[one].cpu) / math.log(other / one)
