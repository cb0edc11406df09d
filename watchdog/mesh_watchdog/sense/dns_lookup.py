"""Asking DNS where a peer is, over the underlay."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from mesh_sync.wireguard.answer import Answer, Reason
from mesh_sync.wireguard.endpoint import Network


class Lookups:
    """Answers questions about names, and counts them."""

    def __init__(self) -> None:
        self.queries = 0
        self.failures = 0

    async def ask(self, host: str, tunnelled: Iterable[Network], mark: int) -> Answer:
        """Look ``host`` up, asking no resolver inside ``tunnelled``; ``mark`` keeps the question out of the tunnel.

        Never raises; done in time whatever happens.
        """
        from mesh_sync.wireguard import resolve  # dnspython, 3 MiB: only where a peer with a name is silent

        self.queries += 1
        inside = [network for network in tunnelled if network.prefixlen]
        servers = resolve.nameservers()
        usable = [server for server in servers if not any(server.ip in network for network in inside)]
        answer = await resolve.look_up(host, usable, mark=mark)
        if servers and answer.reason is Reason.NO_NAMESERVER:
            answer = evolve(answer, reason=Reason.NONE_OUTSIDE)
        self.failures += bool(answer.problem)
        return answer
