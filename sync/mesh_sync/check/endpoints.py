"""Endpoints that lie inside the tunnel, and pairs of peers of which neither has one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from mesh_sync.findings import MAX_NAMED, WARNING, Finding, some
from mesh_sync.mesh.exits import exit_networks
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.mesh.topology import Topology
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.wireguard.longest_prefix import LongestPrefix


def endpoints(mesh: Mesh, moment: datetime) -> Iterator[Finding]:
    """Endpoints that no peer can have, inside the mesh's own networks; a warning for those in a network behind a peer.

    Every node sends the first ones into the tunnel. The others are good for nodes that are in that network themselves,
    where their own route is as specific as the one into the tunnel.
    """
    yield from _shared(mesh, moment)
    inside = LongestPrefix((network, None) for network in mesh.networks)
    behind = LongestPrefix(
        (network, peer)
        for peer in mesh.peers.values()
        if peer.subnets and peer.active(moment)
        for network in set(peer.announced).difference(exit_networks(peer))
    )
    for peer in mesh.peers.values():
        for index, endpoint in enumerate(peer.endpoint):
            if not (address := endpoint.address):
                continue
            key = f"endpoint[{index}]" if len(peer.endpoint) > 1 else "endpoint"
            if hit := inside.find(address):
                text = f"{endpoint} lies in the mesh's own network {hit[0]}: packets to it would enter the tunnel"
                yield Finding(peer.file, key, text)
            elif there := behind.find(address):
                whose = "its own" if there[1] is peer else f"{there[1].name}'s"
                text = f"{endpoint} lies in {whose} subnet {there[0]}: of use only to nodes that are in that network"
                yield Finding(peer.file, key, text, WARNING)


def _shared(mesh: Mesh, moment: datetime) -> Iterator[Finding]:
    """Endpoints of two peers. Of a numeric one, one of them would be told to reach the other at itself; a name may lead
    elsewhere tomorrow, but as a rule two machines behind one router have it.
    """
    holders: dict[Endpoint, Peer] = {}
    for peer in mesh.peers.values():
        for endpoint in peer.endpoint if peer.active(moment) else ():
            first = holders.setdefault(endpoint, peer)
            if first is peer:
                continue
            text = f"{endpoint} is also an endpoint of {first.name}; only one peer can be there"
            if endpoint.address:
                yield Finding(peer.file, "endpoint", text)
            else:
                advice = "behind one router each needs a `listen_port`, and an endpoint with that port, of its own"
                yield Finding(peer.file, "endpoint", f"{text}: {advice}", WARNING)


def _others(peer: Peer, hidden: Sequence[Peer]) -> str:
    """The first few of the others, empty when there are none."""
    others = [other.name for other in hidden[: MAX_NAMED + 1] if other is not peer]
    more = len(hidden) - (peer in hidden[: MAX_NAMED + 1]) - MAX_NAMED
    return some(others[:MAX_NAMED], more=more) if others else ""


def without_endpoints(topology: Topology) -> Iterator[Finding]:
    """Pairs of which neither has an endpoint, and for which there is no relay.

    Nodes that run mesh-watchdog may still meet, with the help of a peer that both reach.
    """
    able = [peer for peer in topology.hidden if peer.managed]
    unable = [peer for peer in topology.hidden if not peer.managed]
    meeting = any(peer.endpoint and peer.managed for peer in topology.roots)
    try_it = "they meet only if their routers let mesh-watchdog open a way; " if meeting else "they cannot connect: "
    advice = "a peer with an endpoint and relay = true can forward between them"
    for peer in able:
        if not topology.relays and (named := _others(peer, able)):
            text = f"neither {peer.name} nor {named} has an endpoint: {try_it}{advice}"
            yield Finding(peer.file, "endpoint", text, WARNING)
    for peer in unable:
        if named := _others(peer, topology.hidden):
            text = f"neither {peer.name} nor {named} has an endpoint: they cannot connect without a relay (via)"
            yield Finding(peer.file, "endpoint", text, WARNING)
    for peer in topology.members.values():
        relay = topology.members.get(peer.via or "")
        if relay and not topology.can_talk(peer, relay):
            text = f"neither {peer.name} nor its relay {relay.name} has an endpoint: they cannot connect"
            yield Finding(peer.file, "endpoint", text, WARNING)
