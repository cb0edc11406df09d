"""Where a silent peer could be: every endpoint worth a try, the best first (rules R6 and R7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from mesh_sync.wireguard.endpoint import Address, Endpoint, Network
from mesh_watchdog.policy.dns_names import NameState
from mesh_watchdog.policy.events import Surroundings
from mesh_watchdog.policy.peer import PeerState

Candidate = tuple[str, str]
"""An endpoint, and where it comes from."""


@frozen
class Knowledge:
    """What is known of the world around: the names, this machine's addresses, the networks inside the tunnel."""

    names: Mapping[str, NameState]
    surroundings: Surroundings
    tunnelled: tuple[Network, ...] = ()


def candidates(peer: PeerState, knowledge: Knowledge) -> tuple[Candidate, ...]:
    """Return all: news from DNS, the current one, the last good one, other DNS, literals.

    During the search for a peer that was up, its last good endpoint is the current one; what the interface has was a
    try.
    """
    current = [(peer.seen.endpoint, peer.source)] if peer.seen and peer.seen.endpoint else []
    good = [(peer.good, "last good")] if peer.good else []
    at_home = good + current if peer.lived else current + good
    ranked = dict[str, str]()
    for endpoint, source in (*news(peer, knowledge), *at_home, *_from_dns(peer, knowledge), *_literals(peer)):
        if _usable(endpoint, knowledge):
            ranked.setdefault(endpoint, source)
    return tuple(ranked.items())


def news(peer: PeerState, knowledge: Knowledge) -> tuple[Candidate, ...]:
    """Return what DNS says now and did not say when the peer fell silent, if that means that the peer moved.

    It does if DNS used to be right about this peer, or changed its mind during the silence. It does not for a peer that
    had roamed elsewhere: then a first look merely shows what DNS may have said for months. Nor does it if the name
    still stands for where the peer was, among others.
    """
    home = str(_address(peer.good))
    right = peer.lived and home in peer.expected
    if home in expected(peer, knowledge.names):
        return ()
    return tuple(
        (endpoint, source)
        for host in peer.declared.hosts
        if (name := knowledge.names.get(host))
        and _since(name.answered, peer)
        and (right or _since(name.replaced, peer))
        for endpoint, source in _from_dns(peer, knowledge, only=host)
        if str(_address(endpoint)) not in peer.expected and _usable(endpoint, knowledge)
    )


def expected(peer: PeerState, names: Mapping[str, NameState]) -> tuple[str, ...]:
    """All that the peer's names stand for at the moment."""
    known = {address for host in peer.declared.hosts if host in names for address in names[host].addresses}
    return tuple(sorted(map(str, known)))


def _since(then: float | None, peer: PeerState) -> bool:
    return then is not None and then >= peer.heard


def _from_dns(peer: PeerState, knowledge: Knowledge, only: str = "") -> Iterator[Candidate]:
    for endpoint in peer.declared.endpoint:
        name = knowledge.names.get(endpoint.host)
        if endpoint.address is None and name is not None and only in ("", endpoint.host):
            for address in _alternating(name.addresses):
                yield str(Endpoint(str(address), endpoint.port)), "dns"


def _literals(peer: PeerState) -> Iterator[Candidate]:
    for endpoint in peer.declared.endpoint:
        if endpoint.address is not None:
            yield str(endpoint), "list"


def _alternating(addresses: Iterable[Address]) -> Iterator[Address]:
    """IPv4 and IPv6 in turn: one of the families may be a black hole."""
    ordered = sorted(addresses, key=lambda address: (address.version, int(address)))
    four = [address for address in ordered if address.version == 4]
    six = [address for address in ordered if address.version == 6]
    for index in range(max(len(four), len(six))):
        yield from four[index : index + 1]
        yield from six[index : index + 1]


def _usable(endpoint: str, knowledge: Knowledge) -> bool:
    """Whether a packet to this endpoint could leave this machine, outside the tunnel."""
    address = _address(endpoint)
    return (
        address is not None
        and address.version in knowledge.surroundings.versions
        and address not in knowledge.surroundings.own
        and not (address.is_link_local and address.version == 6)
        and not any(network.prefixlen and address in network for network in knowledge.tunnelled)
    )


def _address(endpoint: str) -> Address | None:
    """The address of a numeric endpoint; None for one that no other machine can have (`Endpoint.parse` refuses it)."""
    try:
        return Endpoint.parse(endpoint).address
    except ValueError:
        return None
