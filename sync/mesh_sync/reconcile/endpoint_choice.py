"""Which numeric endpoints the kernel is fed, and what is remembered of them.

The list gives a new peer its endpoint. A name is resolved here; what it stood for last serves while DNS is silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from mesh_sync.node.config import Node
from mesh_sync.node.state import Applied
from mesh_sync.reconcile.locate import locate
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.endpoint import possible
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.plan import Change
from mesh_sync.wireguard.protocol import is_alive


@frozen
class Endpoints:
    """Numeric endpoints by public key: ``fresh`` from names and literals, ``stopgaps`` from memory; and notes."""

    fresh: Mapping[str, str] = {}
    stopgaps: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()

    @property
    def fed(self) -> dict[str, str]:
        """All that the kernel is given now."""
        return {**self.stopgaps, **self.fresh}


def find(
    node: Node, desired: Desired, changes: Sequence[Change], last: Mapping[str, str], live: Live, moment: float
) -> Endpoints:
    """What to feed the peers that get an endpoint now. ``moment``: Unix seconds.

    After a reboot DNS may be down, or reachable only through the mesh: what a name stood for last serves until it
    answers again. It does not count as given, so that each run resolves a peer that stays silent.
    """
    keys = {change.value for change in changes if change.kind in ("peer-added", "endpoint")}
    peers = [peer for peer in desired.peers if peer.public_key in keys and peer.endpoint]
    if not peers:
        return Endpoints()
    declared = {peer.public_key: possible(peer.endpoint) for peer in peers}
    found = locate(declared, node, desired, live, moment)
    fresh: dict[str, str] = {}
    stopgaps: dict[str, str] = {}
    notes = []
    for peer in peers:
        key = peer.public_key
        endpoint, problem = found[key]
        if endpoint:
            fresh[key] = endpoint
        elif key in live.peers and live.peers[key].endpoint:
            notes.append(f"peer {peer.name} keeps the endpoint it has: {problem}")
        elif possible([last.get(key, "")]):
            stopgaps[key] = last[key]
            notes.append(f"peer {peer.name} gets its last known endpoint, {last[key]}: {problem}")
        else:
            notes.append(f"peer {peer.name} has no endpoint yet: {problem}")
    return Endpoints(fresh, stopgaps, tuple(notes))


def way_back(
    desired: Desired, live: Live, changes: Iterable[Change], earlier: Mapping[str, str], moment: float
) -> tuple[tuple[Change, ...], Endpoints]:
    """The way back from a trial: peers get the ``earlier`` endpoints again, roamed or not, and DNS is not asked.

    A peer that is alive keeps the one it has. ``moment``: Unix seconds.
    """
    back = [change for change in changes if not change.kind.startswith("endpoint")]
    fed = {}
    for peer in desired.peers:
        key, name, was = peer.public_key, peer.name, earlier.get(peer.public_key, "")
        known = live.peers.get(key)
        if known and (known.endpoint == was or is_alive(known.handshake, moment)):
            continue
        if known:
            text = f"peer {name}: endpoint {known.endpoint or 'none'} -> {was or 'none'}"
            back.append(Change("endpoint" if was else "endpoint-removed", text, name, key))
        if was:
            fed[key] = was
    return tuple(back), Endpoints(stopgaps=fed)


def last_known(desired: Desired, before: Applied, live: Live) -> dict[str, str]:
    """What the declared endpoints stood for when they were last resolved, by public key.

    None where the declared ones changed. Without a memory, what the kernel has.
    """
    if before.desired is None:
        known = {key: live.peers.get(key) for peer in desired.peers if peer.endpoint for key in peer.keys}
        return {key: peer.endpoint for key, peer in known.items() if peer and peer.endpoint}
    declared = {key: peer.endpoint for peer in before.desired.peers for key in peer.keys}
    same = {key for peer in desired.peers for key in peer.keys if declared.get(key) == peer.endpoint}
    return {key: endpoint for key, endpoint in before.resolved.items() if key in same}


def given(
    desired: Desired, known: Mapping[str, str], changes: Sequence[Change], endpoints: Mapping[str, str]
) -> dict[str, str]:
    """The declared endpoints that the kernel was fed so far; ``known``: before these changes."""
    given = {key: known[key] for key in (peer.public_key for peer in desired.peers) if key in known}
    declared = {peer.public_key: ", ".join(peer.endpoint) for peer in desired.peers}
    for change in changes:
        if change.kind in ("peer-added", "endpoint-removed"):
            given.pop(change.value, None)
    return given | {key: declared[key] for key in endpoints}
