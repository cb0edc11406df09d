"""Who talks to whom, and what each tunnel carries."""

from __future__ import annotations

from datetime import UTC, date, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from mesh_sync.mesh.model import Mesh, Peer, PeerName, PublicKey
from mesh_sync.mesh.topology import Topology
from mesh_sync.wireguard.endpoint import Endpoint

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def peer(name: str, number: int, *, via: str | None = None, subnets: tuple[str, ...] = (), **more: Any) -> Peer:
    return Peer(
        name=name,
        public_key=PublicKey(name),
        addresses=(ip_address(f"10.0.0.{number}"),),
        endpoint=more.pop("endpoint", (Endpoint(f"{name}.example", 51820),)),
        subnets=tuple(map(ip_network, subnets)),
        via=PeerName(via) if via else None,
        **more,
    )


def topology(*peers: Peer) -> Topology:
    mesh = Mesh(format=1, name="m", networks=(ip_network("10.0.0.0/24"),), peers={peer.name: peer for peer in peers})
    return Topology(mesh, NOW)


def view(found: Topology, name: str) -> dict[str, list[str]]:
    return {near.peer.name: [str(ip) for ip in near.allowed_ips] for near in found.neighbours(name)}


def test_peers_without_a_relay_form_a_full_mesh() -> None:
    found = topology(peer("a", 1), peer("b", 2, subnets=("192.168.2.0/24",)), peer("c", 3))
    assert view(found, "a") == {"b": ["10.0.0.2/32", "192.168.2.0/24"], "c": ["10.0.0.3/32"]}
    assert view(found, "b") == {"a": ["10.0.0.1/32"], "c": ["10.0.0.3/32"]}


def test_a_spoke_talks_to_its_relay_only_and_reaches_everybody_through_it() -> None:
    found = topology(peer("a", 1), peer("b", 2), peer("phone", 9, via="b"))
    assert view(found, "phone") == {"b": ["10.0.0.2/32", "10.0.0.1/32"]}
    assert view(found, "b") == {"a": ["10.0.0.1/32"], "phone": ["10.0.0.9/32"]}
    assert view(found, "a") == {"b": ["10.0.0.2/32", "10.0.0.9/32"]}


def test_relays_can_stand_in_a_row() -> None:
    found = topology(peer("a", 1), peer("b", 2), peer("c", 3, via="b"), peer("d", 4, via="c"))
    assert view(found, "a") == {"b": ["10.0.0.2/32", "10.0.0.3/32", "10.0.0.4/32"]}
    assert view(found, "c") == {"b": ["10.0.0.2/32", "10.0.0.1/32"], "d": ["10.0.0.4/32"]}
    assert view(found, "d") == {"c": ["10.0.0.3/32", "10.0.0.1/32", "10.0.0.2/32"]}


@pytest.mark.parametrize("source", "abcdef")
@pytest.mark.parametrize("target", "abcdef")
def test_every_packet_finds_its_way_hop_by_hop(source: str, target: str) -> None:
    """Follow the AllowedIPs as the kernels would, and come out where `path` says."""
    relayed = [peer("c", 3, via="b"), peer("d", 4, via="c"), peer("e", 5, via="b"), peer("f", 6, via="a")]
    found = topology(peer("a", 1), peer("b", 2), *relayed)
    goal = f"10.0.0.{'abcdef'.index(target) + 1}/32"
    walked = [source]
    while walked[-1] != target:
        hops = [name for name, ips in view(found, walked[-1]).items() if goal in ips]
        assert len(hops) == 1, f"{walked} -> {hops}"
        walked.append(hops[0])
        assert len(walked) < 7
    assert [peer.name for peer in found.path(source, target)] == walked


def test_a_disabled_peer_and_those_behind_it_are_not_in_the_mesh() -> None:
    found = topology(peer("a", 1), peer("b", 2, enabled=False), peer("c", 3, via="b"))
    assert set(found.members) == {"a"}


def test_relays_in_a_circle_take_nobody_in() -> None:
    found = topology(peer("a", 1), peer("b", 2, via="c"), peer("c", 3, via="b"), peer("d", 4, via="d"))
    assert set(found.members) == {"a"}


@pytest.mark.parametrize(
    ("expires", "inside"),
    [
        (date(2026, 5, 31), False),
        (date(2026, 6, 1), True),
        (datetime(2026, 6, 1, 0, 0, 0), False),  # a time without a zone is UTC
        (datetime(2026, 6, 1, 0, 0, 1, tzinfo=UTC), True),
        (None, True),
    ],
)
def test_an_expired_peer_counts_as_disabled(expires: date | None, inside: bool) -> None:
    assert ("a" in topology(peer("a", 1, expires=expires)).members) is inside
