"""What others have put on the interface, and a new commit takes over or takes from. Pure.

Once the commit is applied, that counts as ours; when it is rolled back, it has to be there as it was found, and not
ours.
"""

from __future__ import annotations

from attrs import evolve

from mesh_sync.wireguard.desired import Desired, Owned
from mesh_sync.wireguard.live import Live, as_desired


def at_stake(live: Live, owned: Owned, coming: Desired) -> Desired | None:
    """The part of the interface that is not ours so far (``owned``) and changes with ``coming``; None if nothing does.

    A peer also when only its allowed IPs go to another: WireGuard takes them from it without a word. A default route
    by hand is drift that every run removes.
    """
    ips, ours = _allowed_ips(coming), coming.owned
    peers = {
        key: peer
        for key, peer in live.peers.items()
        if key not in owned.peers and (key in ours.peers or peer.allowed_ips & ips)
    }
    addresses = (live.addresses - owned.addresses) & ours.addresses
    routes = (live.routes - owned.routes) & ours.routes
    if not (peers or addresses or routes):
        return None
    part = Live(peers=peers, addresses=addresses, routes=routes)
    return as_desired(part)


def joined(found: Desired | None, more: Desired | None) -> Desired | None:
    """Both; of a peer that is in both, what was ``found`` first."""
    if not found or not more:
        return found or more
    known = {peer.public_key for peer in found.peers}
    return evolve(
        found,
        peers=(*found.peers, *(peer for peer in more.peers if peer.public_key not in known)),
        addresses=found.addresses | more.addresses,
        routes=found.routes | more.routes,
        exit_routes=found.exit_routes | more.exit_routes,
    )


def put_back(desired: Desired, found: Desired | None) -> Desired:
    """The interface as it is ``desired``, with what was ``found`` beside it."""
    if not found:
        return desired
    ours, ips = desired.owned.peers, _allowed_ips(desired)
    others = (peer for peer in found.peers if peer.public_key not in ours)
    return evolve(
        desired,
        peers=(*desired.peers, *(evolve(peer, allowed_ips=peer.allowed_ips - ips) for peer in others)),
        addresses=desired.addresses | found.addresses,
        routes=desired.routes | found.routes,
        exit_routes=desired.exit_routes | found.exit_routes,
    )


def _allowed_ips(desired: Desired) -> frozenset[str]:
    return frozenset(ip for peer in desired.peers for ip in peer.allowed_ips)
