"""Canaries that are no peers, or that follow no list. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Set

from mesh_sync.findings import WARNING, Finding, shown
from mesh_sync.mesh.layout import MESH_FILE
from mesh_sync.mesh.model import Mesh


def rollout(mesh: Mesh, broken: Set[str]) -> Iterator[Finding]:
    """What `[rollout] canary` names in vain; with ``broken`` peers, whose tags are not known, nothing can be told."""
    for word in mesh.rollout.canary if not broken else ():
        named = {peer.name for peer in mesh.peers.values() if word in (peer.name, *peer.tags)}
        if not named:
            yield Finding(MESH_FILE, "rollout.canary", f"there is no peer {shown(word)}, and none with such a tag")
        elif not named & mesh.canaries:
            text = f"{shown(word)} has no node that is enabled and managed: no commit is tried there first"
            yield Finding(MESH_FILE, "rollout.canary", text, WARNING)
