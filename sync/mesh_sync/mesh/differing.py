"""Two lists side by side: what a node may see differently, without what all see alike. Pure.

The roots of a mesh see the same peers, and all below relays reach the same networks. So what differs is worked out once
for all of them, and only what a node sees as no other does is looked at for each: the peers below it, and its exit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property

from mesh_sync.mesh.list_changes import renamed
from mesh_sync.mesh.model import Peer
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.topology import Part, Topology
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.endpoint import Network


class Differing:
    """The lists ``before`` and ``after``, neither of which has errors: no two peers share a key or address, nor a
    network unless the list says who comes first.

    What is left out is the same in both, peer by peer and network by network, so that the difference is the same with
    it and without it.
    """

    def __init__(self, before: Renderer, after: Renderer) -> None:
        self.before, self.after = before, after
        roots = {peer.name: peer for peer in before.topology.roots}
        pairs = ((roots[peer.name], peer) for peer in after.topology.roots if peer.name in roots)
        self._alike = {one.name for one, other in pairs if self._is_alike(one, other)}
        self._roots = tuple(
            [peer for peer in rendered.topology.roots if peer.name not in self._alike] for rendered in (before, after)
        )
        routed_alike = before.mesh.networks == after.mesh.networks
        self._all = tuple(frozenset(rendered.topology.networks) for rendered in (before, after))
        both: frozenset[Network] = self._all[0] & self._all[1] if routed_alike else frozenset()
        self._networks = tuple(networks - both for networks in self._all)
        self._keys = tuple(
            {key for peer in rendered.topology.members.values() for key in _keys(peer)} for rendered in (before, after)
        )

    @cached_property
    def renamed(self) -> dict[str, str]:
        """What members of the list before are called in the one after: a free name, and a key that they had."""
        return renamed(self.before.topology.members, self.after.topology.members)

    @cached_property
    def former(self) -> dict[str, str]:
        """What members of the list after were called in the one before, of those that were renamed."""
        return {later: name for name, later in self.renamed.items()}

    def desired(self, name: str) -> tuple[Desired, Desired]:
        """The interface of a member of both, before and after, as far as it may differ; ``name`` is the one before."""
        later = self.renamed.get(name, name)
        parts = self._parts(name, later) or (None, None)
        return self.before.desired(name, parts[0]), self.after.desired(later, parts[1])

    def _parts(self, name: str, later: str) -> tuple[Part, Part] | None:
        """What to look at; None for all of it."""
        before, after = self.before.topology, self.after.topology
        was, is_now = before.members[name], after.members[later]
        if bool(was.via) != bool(is_now.via) or was.managed != is_now.managed:  # what it sees is of another kind
            return None
        if (was.export_routes, is_now.export_routes) != ((), ()):  # cut out of what all see alike
            return None
        if was.via:
            if not self._relay_is_comparable(was, is_now):
                return None
            below = before.below(was), after.below(is_now)
            return Part(networks=self._near(0, below[1])), Part(networks=self._near(1, below[0]))
        if before.shared_by(name) != after.shared_by(later):  # what it is in itself, it sends to no other
            return None
        if self.before.mesh.keepalive_of(was) != self.after.mesh.keepalive_of(is_now):
            return None
        ways = {hop for hop in (_first_hop(before, name), _first_hop(after, later)) if hop in self._alike}
        return self._with(0, before, ways), self._with(1, after, ways)

    def _is_alike(self, one: Peer, other: Peer) -> bool:
        """Whether all others see a root alike in both lists. Mostly its file says so, and what there is below it."""
        lists = (self.before, one), (self.after, other)
        was, is_now = ((peer, rendered.topology.below(peer), rendered.common) for rendered, peer in lists)
        return was == is_now or self.before.seen(one) == self.after.seen(other)

    def _relay_is_comparable(self, was: Peer, is_now: Peer) -> bool:
        """Whether a peer's relay has the keys that it had, or is another one all over."""
        one, other = self.before.topology.members[was.via or ""], self.after.topology.members[is_now.via or ""]
        same = (one.public_key, one.next_public_key) == (other.public_key, other.next_public_key)
        return same or not (self._keys[1].intersection(_keys(one)) or self._keys[0].intersection(_keys(other)))

    def _near(self, side: int, below: Collection[Network]) -> list[Network]:
        """The networks that differ, and those that the node itself has below it in the other list."""
        return [*self._networks[side], *self._all[side].intersection(below)]

    def _with(self, side: int, topology: Topology, ways: Collection[str]) -> Part:
        """The roots that differ, and those by which the node leaves for its exit: it alone sees them so."""
        return Part([*self._roots[side], *(topology.members[name] for name in ways)])


def _first_hop(topology: Topology, name: str) -> str:
    """The peer by which a member leaves for its exit; empty if it uses none."""
    exit_ = topology.exit_of(name)
    return topology.path(name, exit_)[1].name if exit_ else ""


def _keys(peer: Peer) -> Iterator[str]:
    yield peer.public_key
    if peer.next_public_key:
        yield peer.next_public_key
