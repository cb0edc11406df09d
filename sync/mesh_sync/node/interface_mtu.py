"""The MTU that this node's interface should have: the list's, or what the ways to the peers and their paths leave.

What a path was found to take (`wireguard.path_mtu`) is kept under `run`, with the endpoint at which the peer was.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from mesh_sync.node.config import Node
from mesh_sync.system.files import write_atomically
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, mapping_of, table
from mesh_sync.wireguard import mtu
from mesh_sync.wireguard.desired import DEFAULT_MTU, Desired
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.plan import is_literal


@frozen
class PathMtu:
    """The largest packet, in bytes, that a peer answered while it was at ``endpoint``."""

    endpoint: str
    mtu: int


def interface_mtu(node: Node, desired: Desired, live: Live | None) -> int:
    """In bytes. Without a way to any peer, what there is; for a new interface, the endpoints are those of the list.

    A path takes nothing away that IPv6 needs, whatever its peer answers: it would end the IPv6 of all others.
    """
    if desired.mtu:
        return desired.mtu
    ipv6 = any(":" in address for address in desired.addresses)
    if live is None:
        listed = (endpoint for peer in desired.peers for endpoint in peer.endpoint if is_literal(endpoint))
        ways = mtu.of_ways(listed, desired.fwmark, ())
        return mtu.fitting(ways, ipv6=ipv6) or DEFAULT_MTU
    ends = {peer.endpoint for peer in live.peers.values()}  # whatever key the peer has there by now
    narrow = (
        max(path.mtu, mtu.least(ipv6=ipv6)) for path in load(node.path_mtu_file).values() if path.endpoint in ends
    )
    return min([live.fits or live.mtu, *narrow])


def load(file: Path) -> Mapping[str, PathMtu]:
    """What the paths were found to take, by public key; of paths that take everything nothing is kept."""
    try:
        return _paths_of(read_json(file.read_bytes()))
    except (OSError, Wrong):
        return {}


def save(file: Path, paths: Mapping[str, PathMtu]) -> None:
    """Keep them until the machine starts again."""
    write_atomically(file, as_json(paths), durable=False)


_paths_of = mapping_of(table(PathMtu))
