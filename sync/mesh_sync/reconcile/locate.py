"""Where the peers of the list are: their endpoints as numbers that this machine can reach without the tunnel."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from attrs import evolve

from mesh_sync.names import resolve
from mesh_sync.names.nameservers import Answer, Unresolved
from mesh_sync.names.upstreams import upstreams
from mesh_sync.names.usable import addresses, usable
from mesh_sync.node.config import Node
from mesh_sync.reconcile import reachable
from mesh_sync.wireguard import ways
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.endpoint import Address, Endpoint
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.longest_prefix import LongestPrefix
from mesh_sync.wireguard.protocol import is_alive
from mesh_sync.wireguard.underlay import Tunnel

Declared = Mapping[str, Sequence[Endpoint]]
"""Endpoints of the list, by public key."""


def locate(declared: Declared, node: Node, desired: Desired, live: Live, moment: float) -> dict[str, tuple[str, str]]:
    """For each peer the numeric endpoint to use, or "" and why there is none. ``moment``: Unix seconds.

    Names are looked up together, and the kernel is asked about all addresses by one `ip`.
    """
    mark = desired.fwmark if node.git_past_exit != "never" else 0
    tunnel = Tunnel(node.interface, desired.routes)
    answers = _answers(names(declared.values()), tunnel, mark, live, moment)
    asked = map(str, reachable.addresses(declared.values(), answers))
    found = ways.ask(asked, desired.fwmark).marked
    return {
        key: reachable.choose(endpoints, answers, found, tunnel, desired.listen_port)
        for key, endpoints in declared.items()
    }


def names(declared: Iterable[Sequence[Endpoint]]) -> list[str]:
    """The names among each peer's endpoints, in turn: every peer's first one, every peer's second one, and so on.

    So a peer whose names get no answer does not take the time of all others.
    """
    hosts = [[endpoint.host for endpoint in endpoints if not endpoint.address] for endpoints in declared]
    return [host for turn in zip_longest(*hosts) for host in turn if host is not None]


def _answers(hosts: Sequence[str], tunnel: Tunnel, mark: int, live: Live, moment: float) -> dict[str, Answer]:
    """What the names stand for, as those nameservers say that this machine can reach now.

    ``mark``: that of questions which may go past an exit that does not answer, 0 if none may.
    """
    if not hosts:
        return {}
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
