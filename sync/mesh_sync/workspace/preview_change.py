"""`mesh-sync plan`: what the change between two commits does to every node. Reads commits through GitPython."""

from __future__ import annotations

import time
from pathlib import Path

from mesh_sync.mesh.render import Renderer
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.key_rollover import placed
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.plan import Change, Context, plan
from mesh_sync.workspace.preview import renderer
from mesh_sync.workspace.revision import files_at
from mesh_sync.workspace.working_copy import read


def plan_between(directory: Path, revisions: str) -> dict[str, tuple[Change, ...]]:
    """What the change BASE..HEAD does to every node that is in either; BASE alone: up to the working copy."""
    base, dots, head = revisions.partition("..")
    before = renderer(files_at(directory, base or "HEAD"), base)
    after = renderer(files_at(directory, head or "HEAD") if dots else read(directory), head or str(directory))
    names = sorted({*before.names, *after.names})
    return {name: changes for name in names if (changes := _changes(name, before, after))}


def _changes(name: str, before: Renderer, after: Renderer) -> tuple[Change, ...]:
    if name not in after.topology.members:
        return (Change("node-removed", "leaves the mesh: it is no longer a peer of any node", name),)
    desired = after.desired(name)
    if name not in before.topology.members:
        return (Change("node-added", f"joins the mesh with {len(desired.peers)} peers", name),)
    old = placed(before.desired(name), None, 0.0)
    live = _as_live(old)
    context = Context(
        owned=old.owned,
        given={peer.public_key: ", ".join(peer.endpoint) for peer in old.peers},
        names={peer.public_key: peer.name for peer in old.peers},
        moment=time.time(),
    )
    return plan(placed(desired, live, context.moment), live, context)


def _as_live(desired: Desired) -> Live:
    """The interface of a node that has applied ``desired``."""
    peers = {
        peer.public_key: LivePeer(
            public_key=peer.public_key, allowed_ips=peer.allowed_ips, keepalive=peer.keepalive,
            endpoint=peer.endpoint[0] if peer.endpoint else "", preshared_key=peer.preshared_key,
        )
        for peer in desired.peers
    }  # fmt: skip
    return Live(
        public_key=desired.public_key, listen_port=desired.listen_port, fwmark=desired.fwmark, mtu=desired.mtu, up=True,
        addresses=desired.addresses, routes=desired.routes, peers=peers,
    )  # fmt: skip
