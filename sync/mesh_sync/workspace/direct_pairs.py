"""Pairs that meet directly before a change and no longer after it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.workspace.pairs import How, Pair, pairs_of

DIRECT = frozenset({How.BOTH, How.OTHER, How.OWN})


def no_longer_direct(before: PeerView, after: PeerView) -> Iterator[tuple[str, Pair]]:
    """Each such pair of peers that stay in the mesh, once: a peer that changes, and how it meets the other one then."""
    changed = [name for name, peer in after.mesh.peers.items() if before.mesh.peers.get(name) not in (None, peer)]
    told = set[frozenset[str]]()
    for name in sorted(changed):
        was = {pair.other for pair in pairs_of(before, name) if pair.how in DIRECT}
        for pair in pairs_of(after, name) if was else ():
            both = frozenset({name, pair.other})
            if pair.other in was and pair.how not in DIRECT and both not in told:
                told.add(both)
                yield name, pair
