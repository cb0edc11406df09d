"""Carries out this node's end of a round, and rewrites the interface's packets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from functools import partial

from mesh_sync.errors import MeshSyncError
from mesh_sync.wireguard import port_rewriting
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.wireguard.port_rewriting import Rewriting
from mesh_watchdog.birthday.knocks import knock
from mesh_watchdog.birthday.many_ports import ManyPorts
from mesh_watchdog.journal import Problems
from mesh_watchdog.opener import Opener
from mesh_watchdog.policy.actions import AwaitKnocks, Knock
from mesh_watchdog.policy.observations import Knocked, Rewritten
from mesh_watchdog.sense.sense import Inbox, Sense

LEAD = 0.3
"""Seconds before the first knock, in which the other end hears of it through an observer and opens its ports."""
KNOCK_HOPS = 64


class Rounds(Sense):
    """Observes what is rewritten at the start, and knocks that arrive. One round at a time."""

    def __init__(self, interface: str, problems: Problems) -> None:
        super().__init__()
        self._interface = interface
        self._problems = problems
        self._opener = Opener()
        self._ports: ManyPorts | None = None
        self._work: asyncio.Task[None] | None = None

    async def start(self, inbox: Inbox) -> None:
        await super().start(inbox)
        try:
            found = await asyncio.to_thread(port_rewriting.read, self._interface)
        except MeshSyncError as error:
            self._problems.set("rewriting", f"whether ports are rewritten is not known: {error.message}")
            return
        inbox.put_nowait(Rewritten(found))

    async def stop(self) -> None:
        self.end()
        await super().stop()
        self._opener.close()

    def begin(self, action: Knock | AwaitKnocks, port: int, mark: int) -> None:
        """Begin a round. ``port``: WireGuard's; ``mark``: the firewall mark of its packets."""
        self.end()
        if isinstance(action, Knock):
            work = self._knock(action.address, port, mark)
        else:
            self._ports = ports = ManyPorts(partial(self._hit, action.endpoint))
            work = self._wait(ports, action, mark)
        self._work = self.spawn(work)

    def end(self) -> None:
        """Stop knocking, and close the ports."""
        if self._work:
            self._work.cancel()
        if self._ports:
            self._ports.close()
        self._work = self._ports = None

    async def rewrite(self, rules: Iterable[Rewriting]) -> None:
        """Rewrite packets by these rules and no others."""
        problem = ""
        try:
            await asyncio.to_thread(port_rewriting.replace, self._interface, rules)
        except MeshSyncError as error:
            problem = f"ports cannot be rewritten, and peers behind easy NATs not met: {error.message}"
        self._problems.set("rewriting", problem, over="ports can be rewritten again")

    async def _knock(self, address: str, port: int, mark: int) -> None:
        await asyncio.sleep(LEAD)
        problem = await knock(
            lambda to: self._opener.send(str(Endpoint(address, to)), port, KNOCK_HOPS, mark), random.SystemRandom()
        )
        self._problems.set("knocks", problem, over="peers behind hard NATs can be met again")

    async def _wait(self, ports: ManyPorts, action: AwaitKnocks, mark: int) -> None:
        target = Endpoint.parse(action.endpoint)
        problem = ""
        try:
            await ports.open((target.host, target.port), action.ttl, mark)
        except OSError as error:
            ports.close()
            problem = f"many ports cannot be opened: {error.strerror}"
        self._problems.set("ports", problem, over="many ports can be opened again")

    def _hit(self, endpoint: str, port: int) -> None:
        self.inbox.put_nowait(Knocked(endpoint, port))
