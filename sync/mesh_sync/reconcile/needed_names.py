"""The addresses behind names that this node needs: peers' without an endpoint, git hosts'; and a stub's nameservers."""

from __future__ import annotations

import ipaddress

from mesh_sync.names import resolve
from mesh_sync.names.upstreams import upstreams
from mesh_sync.node.config import Node
from mesh_sync.repository.hosts import hosts
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.endpoint import possible
from mesh_sync.wireguard.live import Live


def needed_addresses(node: Node, desired: Desired, live: Live | None) -> set[str]:
    """As DNS and this machine's files tell them now; none of a name that has no answer."""
    found, names = set[str](), list[str]()
    for host in hosts(node.repository.urls):
        if _is_name(host):
            names.append(host)
        else:
            found.add(host)
    for peer in desired.peers:
        known = live.peers.get(peer.public_key) if live else None
        if not (known and known.endpoint):
            names += [endpoint.host for endpoint in possible(peer.endpoint) if endpoint.address is None]
    servers = resolve.nameservers()
    found |= {server.address for server in upstreams(servers) if not server.is_local and "%" not in server.address}
    return found | {str(address) for answer in resolve.resolve(names).values() for address in answer.addresses}


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
