"""Where a silent peer could be: every endpoint worth a try, the best first (rules R6 and R7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest

from mesh_sync.wireguard.endpoint import Address, Endpoint
from mesh_watchdog.policy.dns_names import NameState, numeric
from mesh_watchdog.policy.known_ways import is_outside
from mesh_watchdog.policy.peer import PeerState
from mesh_watchdog.policy.reports import SEEN, TOLD
from mesh_watchdog.policy.state import State

Candidate = tuple[str, str]
"""An endpoint, and where it comes from."""


def candidates(peer: PeerState, state: State) -> tuple[Candidate, ...]:
    """Return all: news from DNS, the current one, the last good one, other DNS, literals.

    During the search for a peer that was up, its last good endpoint is the current one; what the interface has was a
    try. Where it is only because others said so is no candidate: they are asked again, and what they say has bounds.
    """
    hearsay = peer.source in (SEEN, TOLD) and peer.endpoint != peer.good
    current = [(peer.endpoint, peer.source)] if peer.endpoint and not hearsay else []
    good = [(peer.good, "last good")] if peer.good else []
    at_home = good + current if peer.lived else current + good
    literals = ((str(endpoint), "list") for endpoint in peer.declared.endpoint if endpoint.address)
    ranked = dict[str, str]()
    for endpoint, source in (*news(peer, state), *at_home, *from_dns(peer, state.names), *literals):
        if usable(endpoint, state):
            ranked.setdefault(endpoint, source)
    return tuple(ranked.items())


def news(peer: PeerState, state: State) -> tuple[Candidate, ...]:
    """Return what DNS says now and did not say when the peer fell silent, if that means that the peer moved.

    It does if DNS used to be right about this peer, or changed its mind during the silence. It does not for a peer that
    had roamed elsewhere: then a first look merely shows what DNS may have said for months. Nor does it if the name
    still stands for where the peer was, among others.
    """
    home = str(numeric(peer.good))
    right = peer.lived and home in peer.expected
    if home in expected(peer, state.names):
        return ()
    return tuple(
        (endpoint, source)
        for host in peer.declared.hosts
        if (name := state.names.get(host)) and _since(name.answered, peer) and (right or _since(name.replaced, peer))
        for endpoint, source in from_dns(peer, state.names, only=host)
        if str(numeric(endpoint)) not in peer.expected and usable(endpoint, state)
    )


def expected(peer: PeerState, names: Mapping[str, NameState]) -> tuple[str, ...]:
    """All that the peer's names stand for at the moment."""
    known = {address for host in peer.declared.hosts if host in names for address in names[host].addresses}
    return tuple(sorted(map(str, known)))


def _since(then: float | None, peer: PeerState) -> bool:
    return then is not None and then >= peer.heard


def from_dns(peer: PeerState, names: Mapping[str, NameState], only: str = "") -> Iterator[Candidate]:
    """Where the peer is by its names, or by one of them."""
    for endpoint in peer.declared.endpoint:
        name = names.get(endpoint.host)
        if endpoint.address is None and name is not None and only in ("", endpoint.host):
            for address in _alternating(name.addresses):
                yield str(Endpoint(str(address), endpoint.port)), "dns"


def places(peer: PeerState, names: Mapping[str, NameState]) -> frozenset[str]:
    """The addresses of all endpoints that may be worth a try: the ways to them have to be known."""
    literals = (str(endpoint) for endpoint in peer.declared.endpoint if endpoint.address)
    found = {numeric(each) for each in (peer.endpoint, peer.good, *literals)}
    found |= {numeric(endpoint) for endpoint, _ in from_dns(peer, names)}
    return frozenset(str(address) for address in found if address)


def _alternating(addresses: Iterable[Address]) -> Iterator[Address]:
    """IPv4 and IPv6 in turn: one of the families may be a black hole."""
    by_version = ([one for one in sorted(addresses, key=int) if one.version == version] for version in (4, 6))
    return (address for pair in zip_longest(*by_version) for address in pair if address)


def usable(endpoint: str, state: State) -> bool:
    """Whether a packet to this endpoint could leave this machine, outside the tunnel."""
    address = numeric(endpoint)
    return (
        address is not None
        and address not in state.surroundings.own
        and not (address.is_link_local and address.version == 6)
        and is_outside(address, state)
    )
