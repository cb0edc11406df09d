"""Where the peers of the list are: their endpoints as numbers that this machine can reach without the tunnel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from mesh_sync.names.nameservers import Answer
from mesh_sync.node.config import Node
from mesh_sync.reconcile import reachable
from mesh_sync.wireguard import ways
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.underlay import Tunnel

Declared = Mapping[str, Sequence[Endpoint]]
"""Endpoints of the list, by public key."""


def locate(declared: Declared, node: Node, desired: Desired, live: Live, moment: float) -> dict[str, tuple[str, str]]:
    """For each peer the numeric endpoint to use, or "" and why there is none. ``moment``: Unix seconds.

    Names are looked up together, and the kernel is asked about all addresses by one `ip`.
    """
    mark = desired.fwmark if node.git_past_exit != "never" else 0
    tunnel = Tunnel(node.interface, desired.routes)
    answers: dict[str, Answer] = {}
    if hosts := names(declared.values()):
        from mesh_sync.reconcile.look_up import look_up  # dnspython, for whose new peers have names

        answers = look_up(hosts, tunnel, mark, live, moment)
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
