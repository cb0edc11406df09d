"""Which routes of this node cover an endpoint, a nameserver or the git host, as the machine's own routes tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mesh_sync.node.config import Node
from mesh_sync.wireguard import covering, ip
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.plan import is_literal

RESOLV_CONF = Path("/etc/resolv.conf")


def with_covering(node: Node, desired: Desired, before: Desired | None, live: Live | None) -> Desired:
    """``desired`` with the routes apart that would take what has to stay outside into the tunnel.

    What was apart ``before`` stays so. Without a network behind a peer, nothing is asked; without a public one, no name
    is. Raise DeviceError.
    """
    kept = before.covering if before else frozenset()
    endpoints, others = set(_endpoints(desired, live)), set(_nameservers())
    # Few meshes have a route that may cover one, which is soon found out; which ones these are takes longer.
    may_cover = kept or covering.may_cover(desired.routes | desired.covering, endpoints | others)
    routes = covering.candidates(desired) if may_cover else ()
    if not routes:
        return covering.set_apart(desired, (), {}, {})
    if not all(map(covering.is_private, routes)):
        from mesh_sync.reconcile.needed_names import needed_addresses  # DNS, for networks that hardly any mesh has

        more = needed_addresses(node, desired, live)
        endpoints, others = endpoints | more[0], others | more[1]
    over = covering.covered(routes, endpoints | others)
    outside = {address: ip.outside(address, node.interface) for address in sorted(over)}
    for address in others - endpoints:
        if outside.get(address):  # apart, the network would follow that route, which is more than a default one
            outside[address] = None
    return covering.set_apart(desired, kept, over, outside)


def told(before: Desired | None, after: Desired | None) -> Iterator[str]:
    """A sentence about each route that is apart now and was not before."""
    for route in sorted(after.covering - (before.covering if before else frozenset())) if after else ():
        yield (
            f"route {route} covers an endpoint, a nameserver or the git host that is reached by this machine's own "
            "network: WireGuard's packets pass it by, as with a default route"
        )


def _endpoints(desired: Desired, live: Live | None) -> Iterator[str]:
    """The numeric endpoints of the list and of the interface."""
    declared = (endpoint for peer in desired.peers for endpoint in peer.endpoint if is_literal(endpoint))
    used = (peer.endpoint for peer in live.peers.values() if peer.endpoint) if live else ()
    for endpoint in {*declared, *used}:
        yield endpoint.rpartition(":")[0].strip("[]").partition("%")[0]


def _nameservers() -> Iterable[str]:
    """Those of /etc/resolv.conf, but for local ones."""
    try:
        text = RESOLV_CONF.read_text(errors="replace")
    except OSError:
        return ()
    found = re.findall(r"(?m)^\s*nameserver\s+([0-9.]+|[0-9a-fA-F]*:[0-9a-fA-F:.]+)\s*$", text)
    return [
        address for address in found if _is_address(address) and not address.startswith("127.") and address != "::1"
    ]


def _is_address(text: str) -> bool:
    try:
        return covering.lies_in(text, "::/0" if ":" in text else "0.0.0.0/0")
    except (OSError, ValueError):
        return False
