"""How each pair of a mesh meets, and why, as the list tells it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from attrs import frozen

from mesh_sync.mesh.peer_view import PeerView


class How(Enum):
    """How two peers with a tunnel, or that reach each other through one, meet."""

    BOTH = "both"
    """Directly: each is reached at an endpoint."""
    OTHER = "other"
    """Directly: this peer begins, at the other's endpoint."""
    OWN = "own"
    """Directly: the other begins, at this peer's endpoint."""
    RELAYED = "relayed"
    """Neither has an endpoint: directly if their NATs let them, else through a relay."""
    VIA = "via"
    """The one or the other is always reached through a peer (`via`)."""
    NEVER = "never"
    """Neither has an endpoint, and no relay may carry them."""


@frozen
class Pair:
    """A peer and one ``other``. ``through``: the peers that may carry their packets."""

    other: str
    how: How
    through: tuple[str, ...] = ()


ORDER = (How.NEVER, How.RELAYED, How.VIA, How.OTHER, How.OWN, How.BOTH)
"""Those first that need a look."""


def pairs_of(view: PeerView, name: str) -> tuple[Pair, ...]:
    """A peer with every other one in the mesh; none when it is not in the mesh itself."""
    found = sorted(_pairs(view, name), key=lambda pair: (ORDER.index(pair.how), pair.other))
    return tuple(found)


def _pairs(view: PeerView, name: str) -> Iterator[Pair]:
    peers = view.mesh.peers
    me = peers[name]
    members = {other for other in peers if view.is_member(other)}
    for other in members - {name} if name in members else ():
        path = view.path(name, other)
        if len(path) > 2:
            yield Pair(other, How.VIA, path[1:-1])
        elif me.endpoint or peers[other].endpoint:
            ends = bool(me.endpoint), bool(peers[other].endpoint)
            yield Pair(other, {(True, True): How.BOTH, (True, False): How.OWN}.get(ends, How.OTHER))
        elif relays := view.relays_between(name, other):
            yield Pair(other, How.RELAYED, relays)
        else:
            yield Pair(other, How.NEVER)
