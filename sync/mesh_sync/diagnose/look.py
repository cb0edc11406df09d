"""What keeps the applied state from working on this machine: all that costs no more than a look."""

from __future__ import annotations

from collections.abc import Iterator

from mesh_sync.diagnose.clock import clock_troubles
from mesh_sync.diagnose.families import family_troubles
from mesh_sync.diagnose.forward import forward_troubles
from mesh_sync.diagnose.masquerade import masquerade_troubles
from mesh_sync.diagnose.routes import route_troubles
from mesh_sync.diagnose.trouble import Trouble
from mesh_sync.errors import DeviceError
from mesh_sync.node.clock import Clock
from mesh_sync.node.config import Node
from mesh_sync.node.state import Applied
from mesh_sync.wireguard.families import possible
from mesh_sync.wireguard.live import Live


def troubles(
    node: Node, applied: Applied, live: Live | None, clock: Clock, most: int | None = None
) -> tuple[Trouble, ...]:
    """Given the applied state, with what node.toml adds, and the interface, return what is wrong around them.

    ``most``: addresses whose way is asked about; None for all.
    """
    return tuple(_found(node, applied, live, clock, most))


def _found(node: Node, applied: Applied, live: Live | None, clock: Clock, most: int | None) -> Iterator[Trouble]:
    yield from clock_troubles(applied, clock)
    if applied.desired is None:
        return
    yield from family_troubles(applied.desired, node.interface)
    yield from masquerade_troubles(node)
    desired = possible(applied.desired, node.interface)
    yield from forward_troubles(desired, node.interface, live)
    try:
        yield from route_troubles(desired, node.interface, live, most)
    except DeviceError:  # what `ip` cannot tell here, the steps that need it say
        return
