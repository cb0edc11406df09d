"""Whether the nodes that apply a new commit first have confirmed it: they are asked, over the tunnel."""

from __future__ import annotations

from collections.abc import Iterator, Set

from mesh_sync.fleet.look import hear, signers_at, whom
from mesh_sync.fleet.verify import Doubt, Heard
from mesh_sync.mesh import manifest
from mesh_sync.node.config import Node
from mesh_sync.node.state import State
from mesh_sync.repository.git_objects import GitObjects, tree_at
from mesh_sync.wireguard.desired import Desired


def have_confirmed(node: Node, state: State, canaries: frozenset[str], commit: str, objects: GitObjects) -> bool:
    """Whether all ``canaries`` (names) say, and can be believed, that they have confirmed this commit or a later one.

    Those that the applied list has no tunnel to cannot be asked, and have not.
    """
    desired = state.last_confirmed.desired
    asked = {name: at for name, at in whom(desired).items() if name in canaries} if desired else {}
    if desired is None or asked.keys() != canaries:
        return False
    found = hear(node, desired, asked, signers_at(objects, state.last_confirmed.commit))
    if others := {each.name for each in found if each.doubt is Doubt.MISNAMED}:  # this may be the commit that did it
        renamed = {new: asked[old] for old, new in _renamed(others, desired, commit, objects) if old != new}
        known = (each for each in found if asked[each.name] not in renamed.values())
        found = (*known, *hear(node, desired, renamed, signers_at(objects, commit)))
    return all(_has(each, commit, objects) for each in found)


def _renamed(names: Set[str], desired: Desired, commit: str, objects: GitObjects) -> Iterator[tuple[str, str]]:
    """These peers' names, and what ``commit`` calls each."""
    mesh, _ = manifest.read(tree_at(objects, commit).manifests)
    called = {key: peer.name for peer in (mesh.peers.values() if mesh else ()) for key in peer.keys}
    for peer in desired.peers:
        if peer.name in names:
            yield from ((peer.name, called[key]) for key in peer.keys if key in called)


def _has(heard: Heard, commit: str, objects: GitObjects) -> bool:
    said = heard.statement.commit if heard.statement and not heard.doubt else None
    return said == commit or (said is not None and objects.has(said) and objects.descends(said, commit))
