"""Asking DNS where a peer is, over the underlay."""

from __future__ import annotations

from attrs import evolve

from mesh_sync.names.nameservers import Unresolved
from mesh_watchdog.journal import Tally
from mesh_watchdog.policy.state import State
from mesh_watchdog.sense.sense import Sense


class DnsLookup(Sense):
    """Observes nothing by itself; it is told what to ask, and puts the answer."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def ask(self, host: str, state: State) -> None:
        """Look ``host`` up, asking no nameserver inside the tunnel, and keeping the questions out of it."""
        self.spawn(self._ask(host, state))

    async def _ask(self, host: str, state: State) -> None:
        from mesh_sync.names import resolve  # dnspython, 3 MiB: only where a peer with a name falls silent

        self._tally.dns_queries += 1
        servers = resolve.nameservers()
        outside = [server for server in servers if not any(server.ip in network for network in state.tunnelled)]
        answer = await resolve.look_up(host, [evolve(server, mark=state.mark) for server in outside])
        if servers and answer.reason is Unresolved.NO_NAMESERVER:
            answer = evolve(answer, reason=Unresolved.NONE_USABLE)
        self._tally.dns_failures += bool(answer.problem)
        self.inbox.put_nowait(answer)
