"""Asking DNS where a peer is."""

from __future__ import annotations

from collections.abc import Sequence

from mesh_sync.names.nameservers import Nameserver
from mesh_watchdog.journal import Tally
from mesh_watchdog.sense.sense import Sense


class DnsLookup(Sense):
    """Observes nothing by itself; it is told what to ask, and puts the answer."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def ask(self, host: str, servers: Sequence[Nameserver]) -> None:
        """Look ``host`` up at these nameservers."""
        self.spawn(self._ask(host, servers))

    async def _ask(self, host: str, servers: Sequence[Nameserver]) -> None:
        from mesh_sync.names import resolve  # dnspython, 3 MiB: only where a peer with a name falls silent

        self._tally.dns_queries += 1
        answer = await resolve.look_up(host, servers)
        self._tally.dns_failures += bool(answer.problem)
        self.inbox.put_nowait(answer)
