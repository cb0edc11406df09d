"""The addresses behind names that this node needs: peers' without an endpoint, git hosts'; and a stub's nameservers."""

from __future__ import annotations

from mesh_sync.names import resolve
from mesh_sync.names.upstreams import upstreams
from mesh_sync.node.config import Node
from mesh_sync.repository.hosts import hosts
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.endpoint import address_in, possible
from mesh_sync.wireguard.live import Live


def needed_addresses(node: Node, desired: Desired, live: Live | None) -> tuple[set[str], set[str]]:
    """Those of endpoints, and the others, as DNS and this machine's files tell them; none where there is no answer."""
    others, names, endpoints = set[str](), list[str](), list[str]()
    for host in hosts(node.repository.urls):
        if address_in(host) is None:
            names.append(host)
        else:
            others.add(host)
    for peer in desired.peers:
        known = live.peers.get(peer.public_key) if live else None
        if not (known and known.endpoint):
            endpoints += [endpoint.host for endpoint in possible(peer.endpoint) if endpoint.address is None]
    servers = resolve.nameservers()
    others |= {server.address for server in upstreams(servers) if not server.is_local and "%" not in server.address}
    answers = resolve.resolve([*names, *endpoints])
    told = {host: {str(address) for address in answer.addresses} for host, answer in answers.items()}
    return {one for host in endpoints for one in told[host]}, others | {one for host in names for one in told[host]}
