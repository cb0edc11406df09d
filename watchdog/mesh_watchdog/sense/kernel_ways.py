"""Asking the kernel by which way an address is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from mesh_sync.errors import MeshSyncError
from mesh_sync.names.system_names import read_system_names
from mesh_sync.names.upstreams import upstreams
from mesh_sync.names.usable import addresses
from mesh_sync.wireguard import ways
from mesh_watchdog.journal import Problems
from mesh_watchdog.policy.observations import Routed
from mesh_watchdog.sense.sense import Sense


class KernelWays(Sense):
    """Observes nothing by itself; it is told what to ask, and puts the answer."""

    def __init__(self, problems: Problems) -> None:
        super().__init__()
        self._problems = problems

    def ask(self, places: Iterable[str], mark: int, *, names: bool) -> None:
        """Ask for the ways to these addresses, and with ``names`` to the nameservers, as they are configured now."""
        self.spawn(self._ask(frozenset(places), mark, names))

    async def _ask(self, places: frozenset[str], mark: int, names: bool) -> None:
        try:
            said = await asyncio.to_thread(read, places, mark, names=names)
        except MeshSyncError as error:
            self._problems.set("ways", f"the routing table cannot be asked: {error}")
            return
        self._problems.set("ways", "", over="the routing table can be asked again")
        self.inbox.put_nowait(said)


def read(places: frozenset[str], mark: int, *, names: bool) -> Routed:
    """Ask by one `ip`. Raise DeviceError when it cannot tell."""
    servers = read_system_names().nameservers if names else ()
    behind = upstreams(servers) if mark else ()
    return Routed(places, ways.ask([*places, *addresses(servers, behind)], mark), servers, behind)
