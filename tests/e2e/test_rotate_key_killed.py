"""`rotate-key` is killed wherever it changes something, on all nodes at once: nobody is cut off, the next ends it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.key_rotation import all_reach, begin, end, held, keys_on, leftovers, rotate, timers
from e2e.killed_runs import killed
from lab import Lab
from lab.mesh import Mesh, key_of, status
from lab.node import Node
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

LASTING = r"^os\.rename |^os\.remove .*/(private\.key|rotation\.json)|^running .*('push'|'wg', 'set')"
"""Steps that change what is there after the process; not the reading, nor the copies of the list that come and go."""


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with Lab() as lab:
        yield Mesh(lab)


def killed_or_done(node: Node, step: int) -> bool:
    """Run `rotate-key` until it is killed at a step; whether it was. It may also find no peer alive, as below."""
    return killed(node, step, "rotate-key", "--wait", "150", may_end=(0, 5), env={"STEPS": LASTING})


def ended(node: Node) -> None:
    """Run `rotate-key` to its end: again, if it found no peer alive while all the others changed their keys, too."""
    if (first := begin(node)).wait(150) == 5:
        rotate(node)
    else:
        end(first)


@pytest.mark.timeout(600)
def test_wherever_it_is_killed_nobody_is_cut_off_and_the_next_one_ends_it(mesh: Mesh) -> None:
    nodes = [mesh.node("a", 11), mesh.node("b", 12), mesh.node("c", 13)]
    mesh.push()
    mesh.now()
    first = 0
    with timers(mesh, *mesh.nodes), ThreadPoolExecutor(len(nodes)) as pool:
        for first in itertools.count(1, len(nodes)):
            before = [key_of(node) for node in nodes]
            reached = list(pool.map(killed_or_done, nodes, itertools.count(first)))
            all_reach(mesh)
            list(pool.map(ended, nodes))
            for node, old in zip(nodes, before, strict=True):
                assert key_of(node) != old, first
                assert key_of(node) == keys.public_key(held(node).strip()), first
                assert leftovers(node) == [], first
            all_reach(mesh)
            if not any(reached):
                break
    assert first > 12
    mesh.now()
    for node in nodes:
        assert keys_on(node) == {key_of(other) for other in nodes if other is not node}
        assert status(node)["drift"] == []
