"""The names of the list to addresses, by those nameservers that this machine can reach now."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from attrs import evolve

from mesh_sync.names import resolve
from mesh_sync.names.nameservers import Answer, Unresolved
from mesh_sync.names.upstreams import upstreams
from mesh_sync.names.usable import addresses, usable
from mesh_sync.wireguard import ways
from mesh_sync.wireguard.endpoint import Address
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.longest_prefix import LongestPrefix
from mesh_sync.wireguard.protocol import is_alive
from mesh_sync.wireguard.underlay import Tunnel


def look_up(hosts: Sequence[str], tunnel: Tunnel, mark: int, live: Live, moment: float) -> dict[str, Answer]:
    """What the names stand for.

    ``mark``: that of questions which may go past an exit that does not answer, 0 if none may.
    """
    servers = resolve.nameservers()
    behind = upstreams(servers) if mark else ()
    found = ways.ask(addresses(servers, behind), mark)
    carriers = LongestPrefix(
        (ipaddress.ip_network(network), is_alive(peer.handshake, moment))
        for peer in live.peers.values()
        for network in peer.allowed_ips
    )

    def carried(address: Address) -> bool:
        hit = carriers.find(address)
        return hit is not None and hit[1]

    chosen = usable(servers, behind, found, mark, tunnel, carried)
    answers = resolve.resolve(hosts, servers=chosen)
    if chosen or not servers:
        return answers
    return {
        host: evolve(answer, reason=Unresolved.NONE_USABLE) if answer.reason is Unresolved.NO_NAMESERVER else answer
        for host, answer in answers.items()
    }
