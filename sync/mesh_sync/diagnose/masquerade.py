"""Whether the interface that node.toml masquerades on is there: nftables takes any name."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from mesh_sync.diagnose.trouble import WARNING, Trouble
from mesh_sync.findings import some
from mesh_sync.node.config import Node


def others(interface: str) -> list[str]:
    """The interfaces that are here, where this one is not; empty where it is."""
    here = [name for _, name in socket.if_nameindex()]
    return [] if interface in here else sorted(here)


def masquerade_troubles(node: Node) -> Iterator[Trouble]:
    """Yield that hosts behind this node see addresses of the mesh, to which they may have no way back."""
    interface = node.gateway.masquerade if node.gateway else ""
    if interface and (here := others(interface)):
        text = f"node.toml masquerades on {interface}, which is not here; here are {some(here)}"
        yield Trouble("no-masquerade", text, "name the right one in node.toml: [gateway] masquerade", WARNING)
