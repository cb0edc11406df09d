"""What a pair of peers sends each other while they are idle: probes, handshakes, and where each sees the other."""

from __future__ import annotations

import time

from bench.nat_world import DIRECT, World
from bench.table import Lines

from lab.mesh import dump
from lab.nat import EASY

SETTLE, SECONDS = 60.0, 300.0
MONTH = 30 * 24 * 3600


def idle(seconds: float = SECONDS) -> Lines:
    """Given how long to look, return the bytes by WireGuard's own counters, UDP and IP headers not counted."""
    with World() as world:
        world.public("hub", relay=True)
        world.home("a", EASY)
        world.home("b", EASY)
        world.begin()
        world.connected(("a", "b"), by=DIRECT)
        time.sleep(SETTLE)
        before, began = _counters(world), time.monotonic()
        time.sleep(seconds)
        after, took = _counters(world), time.monotonic() - began
    names = {"b": "both behind NATs", "hub": "one behind a NAT, one public, a relay"}
    lines: list[tuple[str, ...]] = [("an idle pair", "sent, bytes/min", "received, bytes/min", "both, MB a month")]
    for name, words in names.items():
        sent, received = ((after[name][way] - before[name][way]) / took for way in (0, 1))
        month = (sent + received) * MONTH / 1e6
        lines.append((words, f"{sent * 60:.0f}", f"{received * 60:.0f}", f"{month:.1f}"))
    return lines


def _counters(world: World) -> dict[str, tuple[int, int]]:
    """Bytes sent and received by a, for each peer."""
    shown = dump(world.node("a"))
    return {name: (int(shown[world.keys[name]]["tx"]), int(shown[world.keys[name]]["rx"])) for name in ("b", "hub")}
