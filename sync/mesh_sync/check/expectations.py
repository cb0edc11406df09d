"""The `[[expect]]` tables: reachability tests of the declared mesh, run without any network."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Set
from itertools import pairwise

from mesh_sync.findings import Finding, shown
from mesh_sync.mesh.layout import MESH_FILE
from mesh_sync.mesh.model import Expect, Mesh, Peer
from mesh_sync.mesh.topology import Topology, host_network
from mesh_sync.wireguard.endpoint import Network


def expectations(mesh: Mesh, broken: Set[str]) -> Iterator[Finding]:
    """Expectations of what is no peer, not even a ``broken`` one, nor a network."""
    known = mesh.peers.keys() | broken
    for index, expect in enumerate(mesh.expect):
        if expect.source not in known:
            yield Finding(MESH_FILE, f"expect[{index}].from", f"there is no peer {expect.source!r}")
        if expect.to not in known and _network(expect.to) is None:
            text = f"{shown(expect.to)} is not a peer, address or network"
            yield Finding(MESH_FILE, f"expect[{index}].to", text)


def unmet(topology: Topology) -> Iterator[Finding]:
    """A finding for every expectation that the declared mesh does not meet."""
    for index, expect in enumerate(topology.mesh.expect):
        if expect.source not in topology.mesh.peers:
            continue
        why_not = _obstacle(expect, topology)
        if expect.reachable and why_not:
            yield Finding(MESH_FILE, f"expect[{index}]", f"{expect.source} does not reach {expect.to}: {why_not}")
        elif not expect.reachable and not why_not:
            yield Finding(MESH_FILE, f"expect[{index}]", f"{expect.source} reaches {expect.to} but must not")


def _obstacle(expect: Expect, topology: Topology) -> str:
    """Why ``expect.source`` cannot reach the target; empty when it can."""
    if expect.source not in topology.members:
        return f"{expect.source} is not in the mesh"
    target = _owner(expect.to, topology, expect.source)
    if target is None:
        return f"no peer has {expect.to}" if expect.to not in topology.mesh.peers else f"{expect.to} is not in the mesh"
    source = topology.members[expect.source]
    if (cut := _left_out(source, expect.to, target)) or (cut := _left_out(target, "", source)):
        return cut
    path = topology.path(expect.source, target.name)
    for one, other in pairwise(path):
        if not topology.can_talk(one, other):
            return f"neither {one.name} nor {other.name} has an endpoint"
    return ""


def _left_out(client: Peer, text: str, other: Peer) -> str:
    """Why an exported config has no way to ``text``, or to any address of the other peer; empty if it has one."""
    if client.managed or not client.export_routes:
        return ""
    network = _network(text)
    asked = [network] if network else list(map(host_network, other.addresses))
    if any(_covers(route, one) for route in client.export_routes for one in asked):
        return ""
    return f"the export_routes of {client.name} leave out {text or other.name}"


def _owner(text: str, topology: Topology, source: str) -> Peer | None:
    """The member that is called ``text`` or, by longest prefix, has that address or network, as ``source`` sees it."""
    if text in topology.members:
        return topology.members[text]
    target = _network(text)
    best: tuple[Network, Peer] | None = None
    for peer in topology.members.values():
        exits = topology.exits(peer.name) if peer.name in (source, topology.exit_of(source)) else ()
        for network in (*topology.own(peer), *exits):
            if target and _covers(network, target) and (best is None or network.prefixlen > best[0].prefixlen):
                best = (network, peer)
    if best and (names := topology.gateways.get(best[0])):
        return topology.members[source if source in names else names[0]]
    return best[1] if best else None


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _covers(outer: Network, inner: Network) -> bool:
    return (
        outer.version == inner.version
        and outer.network_address <= inner.network_address  # type: ignore[operator]
        and outer.broadcast_address >= inner.broadcast_address  # type: ignore[operator]
    )
