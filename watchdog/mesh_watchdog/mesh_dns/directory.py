"""The peers of the mesh by key, name and mesh address, and where each was last seen from here. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import dns.name
from attrs import evolve, frozen

from mesh_watchdog.mesh_dns.names import host, services, zone_name
from mesh_watchdog.policy.observations import Declared, Here, Seen, Sighting
from mesh_watchdog.policy.peer import PeerState
from mesh_watchdog.policy.state import State

OLDEST = 180.0
"""Seconds; older sightings are not told to other nodes (R14)."""


@frozen(eq=False)
class Directory:
    """The applied state, indexed by name, address and key.

    ``services``: the name below which those of keys lie; ``own``: the name of this node's mesh addresses.
    ``listed``: the key by which a peer is known here, by each key that it has.
    """

    here: Here
    zone: dns.name.Name
    services: dns.name.Name
    own: dns.name.Name
    peers: Mapping[str, Declared]
    listed: Mapping[str, str]
    by_name: Mapping[str, str]
    by_address: Mapping[str, str]

    def keys_of(self, key: str) -> tuple[str, ...]:
        """All keys of a peer: a node that changes its own has two."""
        return tuple(each for each, listed in self.listed.items() if listed == key)


def directory_of(state: State) -> Directory:
    """The directory of what is applied."""
    peers = {key: peer.declared for key, peer in state.peers.items()}
    zone = zone_name(state.here.zone)
    return Directory(
        here=state.here,
        zone=zone,
        services=services(zone),
        own=host(state.here.name or "localhost", zone),
        peers=peers,
        listed={**{key: key for key in peers}, **{new: old for old, new in state.pairs.items() if old in peers}},
        by_name={peer.name.lower(): key for key, peer in peers.items() if peer.name},
        by_address={address: key for key, peer in peers.items() for address in peer.addresses},
    )


@frozen(eq=False)
class View:
    """What this node tells others: the directory, where it saw its peers, by key, and what it ``says`` of itself."""

    directory: Directory
    seen: Mapping[str, Sighting]
    says: bytes = b""


def view_of(directory: Directory, state: State, moment: float, found: Mapping[str, Seen] | None = None) -> View:
    """The view at ``moment``; ``found``: a reading of the interface that is newer than what is believed, if any."""
    seen = {}
    for key, peer in state.peers.items():
        sighting = _heard_since(peer, found[key]) if found and key in found else None
        if sighting := sighting or sighting_of(peer, moment):
            seen[key] = sighting
    return View(directory, seen)


def calling(view: View, key: str, found: Mapping[str, Seen]) -> View:
    """The view after a packet came from this peer just now: it is at its current endpoint.

    Not if it is relayed: then its packets come from elsewhere.
    """
    if key not in found or not found[key].endpoint or not found[key].carries:
        return view
    return evolve(view, seen={**view.seen, key: Sighting(found[key].endpoint)})


def sighting_of(peer: PeerState, moment: float) -> Sighting | None:
    """Where the peer was last heard; None if that was too long ago, or never."""
    if not peer.lived or not peer.good or peer.reached is None or moment - peer.reached > OLDEST:
        return None
    return Sighting(peer.good, max(0.0, moment - peer.reached))


def _heard_since(peer: PeerState, found: Seen) -> Sighting | None:
    before = peer.seen
    if not found.endpoint or before is None or (found.rx, found.handshake) == (before.rx, before.handshake):
        return None
    return Sighting(found.endpoint)
