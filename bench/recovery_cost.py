"""What mesh-watchdog costs while nothing happens: CPU, with that of the programs it starts, memory, and traffic."""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from attrs import frozen
from bench import living, meshes
from bench.table import Lines

from lab import Lab
from lab.mesh import Mesh, now
from lab.node import Node
from lab.program import Program

SIZES = (10, 100, 1_000, 3_000)
SETTLE, SECONDS = 45.0, 60.0
TICK = os.sysconf("SC_CLK_TCK")
STANDIN = Path(__file__).with_name("recovery_standin.py")
NOTE = (
    f"CPU over {SECONDS:.0f} s, as a share of one core. The peers are live and idle, but not real: a stand-in for the "
    "interface answers\nfor all of them; the `wg` that is run is the real one."
)


@frozen
class Usage:
    """Seconds of CPU so far, MiB of memory now."""

    own: float
    children: float
    mib: float


def cost() -> Lines:
    """The table, one line for each number of peers; all are measured in the same minute."""
    with ThreadPoolExecutor(len(SIZES)) as pool:
        lines = list(pool.map(_line, SIZES))
    head = (
        "peers, all idle",
        "cpu",
        "of it `wg`",
        "resident",
        "alive",
        "readings/min",
        "received",
        "sent",
        "goal",
        "met",
    )
    return [head, *lines]


def _line(size: int) -> tuple[str, ...]:
    with Lab() as lab:
        mesh = Mesh(lab, networks=[meshes.NETWORK])
        node = mesh.node("anna", 5)
        living.grow(mesh, size + 1)
        now(node, timeout=600)
        _replace(node)
        program = node.popen(["mesh-watchdog", "run"])
        time.sleep(SETTLE)
        began, before, seen = _traffic(node), _usage(program), _shown(node)
        time.sleep(SECONDS)
        after, shown, ended = _usage(program), _shown(node), _traffic(node)
    up = sum(peer["state"] == "up" for peer in shown["peers"])
    own, children = ((after.own - before.own) / SECONDS, (after.children - before.children) / SECONDS)
    readings = (shown["readings"] - seen["readings"]) * 60 / SECONDS
    received, sent = ((late - early) / SECONDS for late, early in zip(ended, began, strict=True))
    met = own + children < 0.005 and after.mib < 60 and max(received, sent) < 1000
    goal = ("0.5 %, 60 MiB, 1 KB/s", "yes" if met else "NO") if size == 1000 else ("", "")
    cells = (f"{(own + children):.2%}", f"{children:.2%}", f"{after.mib:.1f} MiB", f"{up:,}", f"{readings:.0f}")
    return (f"{size:,}", *cells, f"{received:.0f} B/s", f"{sent:.0f} B/s", *goal)


def _traffic(node: Node) -> tuple[int, int]:
    """Bytes received and sent by WireGuard, without the headers below it."""
    lines = [line.split() for line in node.run(["wg", "show", "wg0", "transfer"]).stdout.splitlines()]
    return sum(int(received) for _, received, _ in lines), sum(int(sent) for _, _, sent in lines)


def _replace(node: Node) -> None:
    """Put the stand-in in the place of the interface."""
    dump = node.run(["wg", "show", "wg0", "dump"]).stdout
    node.ip("link delete wg0")
    file = node.path("/run/home/dump")
    file.write_text(dump)
    with (node.directory / "stand-in.log").open("wb") as log:
        said = log.fileno()
        node.popen(["sh", "-c", f"exec {sys.executable} {STANDIN} wg0 </run/home/dump"], stdout=said)
    deadline = time.monotonic() + 10
    while node.run(["wg", "show", "wg0", "public-key"], check=False).returncode:
        if time.monotonic() > deadline:
            sys.exit(f"bench: the stand-in does not serve: {(node.directory / 'stand-in.log').read_text()}")
        time.sleep(0.1)


def _usage(program: Program) -> Usage:
    pid = int(Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text())
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, children = (sum(map(int, fields[begin : begin + 2])) / TICK for begin in (11, 13))
    [resident] = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return Usage(own, children, int(resident.split()[1]) / 1024)


def _shown(node: Node) -> dict[str, Any]:
    """What the watchdog says of itself; read without a program, so that nothing but it works meanwhile."""
    found: dict[str, Any] = json.loads(node.path("/run/mesh-sync/wg0.watchdog.json").read_text())
    return found
