"""What the exported config of an unmanaged peer is given: its nameservers, its routes. Pure.

Only what the list declares counts, not who is in the mesh at the moment: a peer that expires makes no list wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mesh_sync.findings import WARNING, Finding
from mesh_sync.mesh.clients import Reach, exit_of
from mesh_sync.mesh.exits import contains, default_route
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.mesh.topology import host_network
from mesh_sync.wireguard.endpoint import address_in


def clients(mesh: Mesh) -> Iterator[Finding]:
    """`dns` and `export_routes` where there is no export, of no use, or leading nowhere."""
    yield from _without_nameservers(mesh)
    concerned = [peer for peer in mesh.peers.values() if peer.dns or peer.export_routes]
    reach = Reach(mesh) if concerned else None
    for peer in concerned:
        if peer.managed:
            yield from _not_exported(peer)
        elif reach:
            yield from _routes(reach, peer)
            yield from _nameservers(reach, peer)


def _without_nameservers(mesh: Mesh) -> Iterator[Finding]:
    """Clients all of whose packets leave by an exit, also those to the nameserver of the network that they are in."""
    for peer in mesh.peers.values():
        if peer.managed or peer.dns or not (peer.exit or mesh.exit):
            continue
        exit_, outside = exit_of(mesh, peer)
        if exit_ and set(outside) & set(peer.export_routes or outside):
            text = (
                f"what {peer.name} asks the nameserver of its own network goes to {exit_}, where it may get no answer"
            )
            yield Finding(peer.file, "dns", f'{text}: name one that answers, dns = ["IP"]', WARNING)


def _not_exported(peer: Peer) -> Iterator[Finding]:
    only = "is for exported configs (managed = false)"
    if peer.dns:
        yield Finding(peer.file, "dns", f"{only}; a node learns peers' names by [dns] in its node.toml")
    if peer.export_routes:
        yield Finding(peer.file, "export_routes", f"{only}; a node reaches all that the list says")


def _routes(reach: Reach, peer: Peer) -> Iterator[Finding]:
    routes = peer.export_routes
    exit_, outside = exit_of(reach.mesh, peer)
    leaving = {one for version in (4, 6) for one in default_route([r for r in routes if r.version == version])}
    twice = Counter(routes)
    for index, route in enumerate(routes):
        key = f"export_routes[{index}]"
        if twice[route] > 1:
            yield Finding(peer.file, key, f"{route} is listed twice")
        elif route in leaving and not exit_:
            text = f'{route} is a default route, and {peer.name} uses no exit: name one, exit = "PEER"'
            yield Finding(peer.file, key, text)
        elif not reach.meets(route, peer) and not any(contains(one, route) or contains(route, one) for one in outside):
            yield Finding(peer.file, key, f"{route} is neither the mesh's own nor behind a peer")
    if routes and exit_ == peer.exit and all(reach.holds(route, peer) for route in routes):
        text = f"hold nothing that leaves by the exit {exit_}: add to them, such as 0.0.0.0/0, or take out `exit`"
        yield Finding(peer.file, "export_routes", text, WARNING)


def _nameservers(reach: Reach, peer: Peer) -> Iterator[Finding]:
    found = [(index, address) for index, text in enumerate(peer.dns) if (address := address_in(text))]
    if peer.dns and not found:
        text = "has no address of a nameserver: WireGuard's apps and wg-quick take search domains only beside one"
        yield Finding(peer.file, "dns", text)
    for index, address in found:
        key, host = f"dns[{index}]", host_network(address)
        ways = peer.export_routes or exit_of(reach.mesh, peer)[1]
        if not any(contains(way, host) for way in ways) and (peer.export_routes or not reach.holds(host, peer)):
            text = f"{address} is not among the routes of {peer.name}, which asks it past the tunnel, or not at all"
            yield Finding(peer.file, key, text, WARNING)
        elif any(address in own for own in reach.mesh.networks) and address not in reach.addresses:
            yield Finding(peer.file, key, f"no peer has the address {address}", WARNING)
