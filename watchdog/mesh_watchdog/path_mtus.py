"""The interface's MTU: it follows this machine's uplink, and what the paths to peers turn out to take.

One path is measured after the other, in the background, once for each endpoint that a peer is heard at. No packet that
is tried is larger than the interface's MTU: when that is raised, what passed before says too little, and all are
measured again.
"""

from __future__ import annotations

import asyncio
from functools import partial

from attrs import frozen

from mesh_sync.errors import MeshSyncError
from mesh_sync.node import interface_mtu as mtus
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.interface_mtu import PathMtu
from mesh_sync.system.run import run
from mesh_sync.wireguard import ip
from mesh_sync.wireguard.path_mtu import largest
from mesh_sync.wireguard.read import read
from mesh_watchdog.journal import Problems, log
from mesh_watchdog.sense.chatter import Chatter
from mesh_watchdog.under_lock import Changed, under_lock

AGAIN = 5.0
"""Seconds after which a path that this machine could not measure is measured after all."""


@frozen
class Raised(Changed):
    """The MTU is larger than it was."""


class PathMtus:
    """Measures the paths that it is asked to, and sets the MTU when one takes less."""

    def __init__(self, node: Node, problems: Problems, chatter: Chatter) -> None:
        self._node = node
        self._problems = problems
        self._chatter = chatter
        self._due: dict[str, tuple[str, str, str]] = {}
        self._measured: dict[str, tuple[str, str, str]] = {}
        self._task: asyncio.Task[None] | None = None

    def measure(self, key: str, name: str, endpoint: str, address: str) -> None:
        """Measure the path to the peer of this key, which was heard at ``endpoint``; ``address``: in the mesh."""
        self._measured = {other: path for other, path in self._measured.items() if path[1] != endpoint}
        self._due[key] = self._measured[key] = (name, endpoint, address)
        self._begin()

    def _begin(self) -> None:
        if self._due and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work())

    async def follow(self) -> None:
        """Give the interface the MTU that its uplink leaves now."""
        result = await asyncio.to_thread(follow, self._node)
        self._problems.set("mtu", result.problem, over="the MTU can be set again")
        for size in result.done:
            log.info("MTU %s, as the uplink has it", size)
        if isinstance(result, Raised):
            self._due |= self._measured
            self._begin()

    def close(self) -> None:
        if self._task:
            self._task.cancel()

    async def _work(self) -> None:
        while self._due:
            key = next(iter(self._due))
            name, endpoint, address = self._due.pop(key)
            result = await asyncio.to_thread(measured, self._node, key, endpoint, address, self._chatter)
            self._problems.set("path-mtu", result.problem, over="paths can be measured again")
            if result.problem:
                self._due.setdefault(key, (name, endpoint, address))
                await asyncio.sleep(AGAIN)
            if isinstance(result, Raised):
                log.info("MTU %s again, if all paths take it", *result.done)
                self._due = {key: (name, endpoint, address), **self._due, **self._measured}
            elif result.done:
                log.warning("the path to %s takes no larger packets: MTU %s", name, *result.done)


def measured(node: Node, key: str, endpoint: str, address: str, chatter: Chatter) -> Changed:
    """Measure one path, keep what it takes, and set the MTU. The result has the new MTU if there is one."""
    try:
        link = ip.link(node.interface)
        found = largest(node.interface, address, link["mtu"], partial(chatter.note_packet, address)) if link else None
        if link is None or found is None:
            return Changed()
        before = mtus.load(node.path_mtu_file)
        kept = {other: path for other, path in before.items() if other != key and path.endpoint != endpoint}
        if found < link["mtu"]:
            kept[key] = PathMtu(endpoint, found)
        if kept != before:
            mtus.save(node.path_mtu_file, kept)
    except PermissionError:  # a unit without CAP_NET_RAW, on a machine whose kernel lets no group send echoes
        return Changed()
    except (MeshSyncError, OSError) as error:
        return Changed(problem=f"the path to a peer cannot be measured: {error}")
    return follow(node) if kept != before else Changed()


@under_lock
def follow(node: Node) -> Changed:
    """Give the interface the MTU that it should have now. The result has the new one if it was another."""
    desired = states.load(node.state_file).applied.desired
    live = read(node.interface, node.sysctl_file, None)
    wanted = mtus.interface_mtu(node, desired, live) if desired and live else 0
    if not live or wanted in (0, live.mtu):
        return Changed()
    run(["ip", "link", "set", "dev", node.interface, "mtu", str(wanted)])
    return (Raised if wanted > live.mtu else Changed)(frozenset({str(wanted)}))
