"""Whether the nodes that apply a new commit first have confirmed it: they are asked, over the tunnel."""

from __future__ import annotations

from mesh_sync.fleet.look import hear, signers_at, whom
from mesh_sync.fleet.verify import Heard
from mesh_sync.node.config import Node
from mesh_sync.node.state import State
from mesh_sync.repository.git_objects import GitObjects


def have_confirmed(node: Node, state: State, canaries: frozenset[str], commit: str, objects: GitObjects) -> bool:
    """Whether all ``canaries`` (names) say, and can be believed, that they have confirmed this commit or a later one.

    Those that the applied list has no tunnel to cannot be asked, and have not.
    """
    desired = state.last_confirmed.desired
    asked = {name: at for name, at in whom(desired).items() if name in canaries} if desired else {}
    if desired is None or asked.keys() != canaries:
        return False
    found = hear(node, desired, asked, signers_at(objects, state.last_confirmed.commit))
    return all(_has(each, commit, objects) for each in found)


def _has(heard: Heard, commit: str, objects: GitObjects) -> bool:
    said = heard.statement.commit if heard.statement and not heard.doubt else None
    return said == commit or (said is not None and objects.has(said) and objects.descends(said, commit))
