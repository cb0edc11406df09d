"""Networks that several peers lead to: which of them is sent what is for such a network now. Pure.

In WireGuard an allowed IP belongs to one peer only. The list says who comes first, and so it is on a new interface.
mesh-watchdog moves the network to the next one while that one is silent, and back. As with relays, where it is now is
read off the interface, which is the only memory of it, and what is found there is right for as long as the list has the
same peers for the network in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import evolve

from mesh_sync.wireguard import relays
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.live import Live


def held(desired: Desired, live: Live | None, applied: Desired | None) -> dict[str, str]:
    """The networks that are sent to one of their gateways now, and may be: by network, the name of that peer.

    ``applied``: what was applied to the interface last. Where that had another order, the order of ``desired`` counts.
    """
    if live is None or applied is None or not desired.gateways:
        return {}
    former, order = _order(applied), _order(desired)
    networks = {network: names for network, names in desired.gateways if former.get(network) == order[network]}
    return dict(_held(desired, live, networks)) if networks else {}


def _order(desired: Desired) -> dict[str, tuple[str, ...]]:
    """By network, the peers that lead to it, by names that a rename does not change."""
    called = {peer.name: peer.pair_name for peer in desired.peers}
    return {network: tuple(called.get(name, name) for name in names) for network, names in desired.gateways}


def _held(desired: Desired, live: Live, networks: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    on: dict[str, frozenset[str]] = {}
    for peer in desired.peers:
        found = (live.peers[key].allowed_ips for key in peer.keys if key in live.peers)
        on[peer.name] = frozenset[str]().union(*found)
    carriers = relays.carried(desired, live)
    for network, names in networks.items():
        direct = (name for name in names if network in on.get(name, ()))
        relayed = (name for name in names if network in on.get(carriers.get(name, ""), ()))
        if holder := next(direct, "") or next(relayed, ""):
            yield network, holder


def place(desired: Desired, holders: Mapping[str, str]) -> Desired:
    """The interface with some networks at another gateway than the first; ``holders``: by network, its name."""
    moved: dict[str, set[str]] = {}
    for network, names in desired.gateways:
        if (holder := holders.get(network, names[0])) != names[0]:
            moved.setdefault(holder, set()).add(network)
    if not moved:
        return desired
    away = frozenset[str]().union(*moved.values())
    peers = (evolve(peer, allowed_ips=peer.allowed_ips - away | moved.get(peer.name, set())) for peer in desired.peers)
    return evolve(desired, peers=tuple(peers))
