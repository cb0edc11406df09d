"""Networks that overlap are found among thousands as they are by comparing each with each."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

from hypothesis import example, given
from hypothesis import strategies as st

from mesh_sync.check.addresses import addresses
from mesh_sync.mesh.model import Mesh, Peer, PublicKey

OWN = ip_network("10.9.0.0/16")
starts = st.sampled_from([f"10.8.{third}.0" for third in range(8)] + [f"fd0{digit}::" for digit in range(4)])
networks = st.builds(lambda start, length: ip_network(f"{start}/{length}", strict=False), starts, st.integers(19, 32))


@given(st.lists(networks, max_size=5))
@example([ip_network("10.8.0.1/32"), ip_network("10.8.0.1/32")])
@example([ip_network("10.9.0.0/24")])
@example([ip_network("10.8.0.0/15")])
def test_all_that_overlap_are_found(found: list[IPv4Network | IPv6Network]) -> None:
    peers = [
        Peer(name=f"p{number}", public_key=PublicKey(f"k{number}"), addresses=(OWN[number + 1],), subnets=(one,))
        for number, one in enumerate(found)
    ]
    ordered = sorted(found, key=lambda one: (one.version, int(one.network_address), one.prefixlen))
    earlier = [
        any(other.version == one.version and other.overlaps(one) for other in ordered[:index])
        for index, one in enumerate(ordered)
    ]
    with_own = [one for one in found if one.version == 4 and one.overlaps(OWN)]
    mesh = Mesh(format=1, name="lab", networks=(OWN,), peers={peer.name: peer for peer in peers})
    said = [finding.message for finding in addresses(mesh)]
    assert sum("'s 10." in text or "'s fd" in text for text in said) == sum(earlier)
    assert sum("the mesh's own network" in text for text in said) == len(with_own)
