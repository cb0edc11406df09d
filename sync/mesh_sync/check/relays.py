"""Relays that do not exist, form a loop, or are out of the mesh (`via`), or cannot be one (`relay`). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import datetime

from mesh_sync.findings import WARNING, Finding, some
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.mesh.topology import Topology

MAX_RELAYS = 8
"""Relays that a packet may pass on its way up."""


def relays(mesh: Mesh, broken: Set[str]) -> Iterator[Finding]:
    """Relays that are no peers, not even ``broken`` ones, and chains of relays that form a loop or are too long."""
    for peer in mesh.peers.values():
        if peer.relay:
            yield from (Finding(peer.file, "relay", f"a relay {why}") for why in _unfit(peer))
        if peer.via is None or peer.via in broken:
            continue
        if peer.via == peer.name:
            yield Finding(peer.file, "via", "is the peer itself")
        elif peer.via not in mesh.peers:
            yield Finding(peer.file, "via", f"there is no peer {peer.via!r}")
        else:
            yield from _chain(peer, mesh)


def _unfit(peer: Peer) -> Iterator[str]:
    if not peer.endpoint:
        yield "needs an endpoint, for others have to reach it"
    if peer.via:
        yield "cannot itself be reached via another peer"
    if not peer.managed:
        yield "has to run mesh-sync: managed = false does not"


def _chain(peer: Peer, mesh: Mesh) -> Iterator[Finding]:
    chain = [peer.name]
    above = peer
    while above.via and above.via in mesh.peers and above.via not in chain and len(chain) <= MAX_RELAYS + 1:
        chain.append(above.via)
        above = mesh.peers[above.via]
    if above.via == peer.name:
        yield Finding(peer.file, "via", f"forms a loop: {some([*chain, peer.name], ' -> ')}")
    elif len(chain) > MAX_RELAYS + 1:
        yield Finding(peer.file, "via", f"more than {MAX_RELAYS} relays in a row")


def cut_off(topology: Topology, moment: datetime) -> Iterator[Finding]:
    """Peers that are out of the mesh because their relay is."""
    mesh = topology.mesh
    for name, peer in mesh.peers.items():
        relay = mesh.peers.get(peer.via or "")
        if peer.active(moment) and relay and name not in topology.members and not relay.active(moment):
            yield Finding(
                peer.file, "via", f"{relay.name} is disabled or expired, so {name} cannot be reached", WARNING
            )
