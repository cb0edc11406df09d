"""Runs of mesh-sync that are killed at each of their steps, on several nodes side by side."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.node import Node

KILL_AT_STEP = Path(__file__).with_name("kill_at_step.py")


def killed(
    node: Node, step: int, *command: str, may_end: Collection[int] = (0,), env: Mapping[str, str] | None = None
) -> bool:
    """Run a command until it is killed at a step; False when it came to its end before, with one of these codes."""
    done = node.run([sys.executable, KILL_AT_STEP, str(step), *command], check=False, timeout=240, env=env)
    assert done.returncode in (-9, *may_end), f"{step}: {done.stdout}\n{done.stderr}"
    return done.returncode == -9


def each(work: Callable[[Node, int], bool], nodes: Sequence[Node], step: int) -> bool:
    """Do it on all nodes side by side, each at a step of its own; whether any said yes."""
    with ThreadPoolExecutor(len(nodes)) as pool:
        return any(list(pool.map(work, nodes, itertools.count(step))))


def every_step(nodes: Sequence[Node], work: Callable[[int], bool]) -> int:
    """Do the work for each step, so many at once as there are nodes, until it kills nothing; return that step."""
    return next(step for step in itertools.count(1, len(nodes)) if not work(step))
