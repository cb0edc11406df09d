"""Endpoints that lie inside the tunnel, and pairs of peers of which neither has one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from mesh_sync.findings import MAX_NAMED, WARNING, Finding, some
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.mesh.topology import Topology
from mesh_sync.wireguard.endpoint import Address, Endpoint, Network


def endpoints(mesh: Mesh, moment: datetime) -> Iterator[Finding]:
    """Endpoints that no peer can have: inside the mesh's own networks, or another peer's.

    One in a network behind a peer is good: nodes in that network reach it there, and the others past the tunnel.
    """
    yield from _shared(mesh, moment)
    inside = _containing(mesh.networks)
    for peer in mesh.peers.values():
        for index, endpoint in enumerate(peer.endpoint):
            if endpoint.address and (hit := inside(endpoint.address)):
                key = f"endpoint[{index}]" if len(peer.endpoint) > 1 else "endpoint"
                text = f"{endpoint} lies in the mesh's own network {hit}: packets to it would enter the tunnel"
                yield Finding(peer.file, key, text)


def _shared(mesh: Mesh, moment: datetime) -> Iterator[Finding]:
    """Numeric endpoints of two peers: one of them would be told to reach the other at itself."""
    holders: dict[Endpoint, Peer] = {}
    for peer in mesh.peers.values():
        for endpoint in peer.endpoint if peer.active(moment) else ():
            first = holders.setdefault(endpoint, peer)
            if first is not peer and endpoint.address:
                text = f"{endpoint} is also an endpoint of {first.name}; only one peer can be there"
                yield Finding(peer.file, "endpoint", text)


def _containing(networks: Sequence[Network]) -> Callable[[Address], Network | None]:
    """A look-up by prefix length, so that thousands of endpoints against many networks stay fast."""
    table = {(n.version, n.prefixlen, int(n.network_address)): n for n in networks}
    lengths = sorted({(n.version, n.prefixlen) for n in networks})

    def find(address: Address) -> Network | None:
        for version, length in lengths:
            if version == address.version:
                shift = address.max_prefixlen - length
                if hit := table.get((version, length, int(address) >> shift << shift)):
                    return hit
        return None

    return find


def without_endpoints(topology: Topology) -> Iterator[Finding]:
    """Pairs that cannot begin to talk: neither has an endpoint."""
    hidden = [peer for peer in topology.roots if not peer.endpoint]
    for peer in hidden:
        others = [other.name for other in hidden[: MAX_NAMED + 1] if other is not peer]
        if others:
            named = some(others[:MAX_NAMED], more=len(hidden) - 1 - MAX_NAMED)
            text = f"neither {peer.name} nor {named} has an endpoint: they cannot connect without a relay (via)"
            yield Finding(peer.file, "endpoint", text, WARNING)
    for peer in topology.members.values():
        relay = topology.members.get(peer.via or "")
        if relay and not topology.can_talk(peer, relay):
            text = f"neither {peer.name} nor its relay {relay.name} has an endpoint: they cannot connect"
            yield Finding(peer.file, "endpoint", text, WARNING)
