"""From the list alone to the whole fleet, for whoever reads it on a machine that is one of its peers.

No node.toml is read, so that this takes no right but to send: who is asked, under which addresses, and whose keys count
is what the list says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from ipaddress import ip_address

from attrs import frozen

from mesh_sync.errors import CommandError
from mesh_sync.fleet.compare import Fleet, compared
from mesh_sync.fleet.look import MOST_COMMITS, hear_over
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.system.run import run
from mesh_sync.trust.signers import Signers


@frozen
class Place:
    """The peer of the list that this machine is, the interface of the tunnel, and the IP versions that it has there."""

    name: str
    interface: str
    versions: frozenset[int]


def place_here(peers: Iterable[Peer]) -> Place | None:
    """Which of these peers this machine is; None if it is none, or that cannot be told."""
    try:
        return place_in(run(["ip", "-json", "address", "show"]), peers)
    except CommandError:  # of a system without it, too
        return None


def place_in(shown: str, peers: Iterable[Peer]) -> Place | None:
    """Given what `ip -json address show` prints, return which peer this machine is.

    Only an interface without a link layer can be the tunnel. With a list that names addresses of an office's network,
    say, that network is asked nothing.
    """
    owners = {str(address): peer.name for peer in peers for address in peer.addresses}
    for link in json.loads(shown):
        if link.get("link_type") != "none":
            continue
        own = [str(each["local"]) for each in link.get("addr_info", ()) if "local" in each]
        names = [owners[address] for address in own if address in owners]
        if names:
            return Place(names[0], str(link["ifname"]), frozenset(ip_address(address).version for address in own))
    return None


def whom(peers: Iterable[Peer], versions: Collection[int]) -> dict[str, str]:
    """An address of each of these nodes that has one of such an IP version, rather IPv4, by name."""
    found = {
        peer.name: sorted((each for each in peer.addresses if each.version in versions), key=lambda each: each.version)
        for peer in peers
        if peer.managed
    }
    return {name: str(addresses[0]) for name, addresses in found.items() if addresses}


def look_by_list(
    mesh: Mesh, members: Collection[Peer], listed: Signers, newest: str, is_older: Callable[[str], bool]
) -> Fleet | None:
    """Ask the nodes among ``members``; None where this machine is none of those, and nothing was asked.

    They are measured by the commit ``newest``; ``is_older`` tells whether another one is part of its history.
    """
    place = place_here(members)
    if place is None:
        return None
    asked = whom(members, place.versions)
    found = hear_over(place.interface, mesh.name, mesh.dns_zone, asked, listed)
    told = {each.statement.commit for each in found if each.statement and each.statement.commit}
    known = frozenset(commit for commit in sorted(told - {newest})[:MOST_COMMITS] if is_older(commit))
    return compared(place.name, newest, found, known)
