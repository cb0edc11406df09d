"""What a peer's file declares, and what that comes to: defaults filled in, who it talks to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from mesh_sync.findings import some
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.topology import Topology
from mesh_sync.wireguard.network_text import in_order


class PeerView:
    """The peers of one mesh at one moment, as people and programs are shown them."""

    def __init__(self, mesh: Mesh, moment: datetime) -> None:
        self.mesh = mesh
        self._moment = moment
        self._renderer = Renderer(mesh, moment)

    def state(self, peer: Peer) -> str:
        """In one or two words, whether the peer takes part."""
        if not peer.enabled:
            return "disabled"
        if not peer.active(self._moment):
            return "expired"
        if peer.name not in self._renderer.topology.members:
            return "cut off"
        return "in the mesh" if peer.managed else "unmanaged"

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The table of `peer list`, with its headings."""
        yield "peer", "addresses", "endpoint", "subnets", "via", "state"
        for name in sorted(self.mesh.peers):
            peer = self.mesh.peers[name]
            lists = (peer.addresses, peer.endpoint, peer.announced)
            yield name, *(", ".join(map(str, items)) or "-" for items in lists), peer.via or "-", self.state(peer)

    def declared(self, peer: Peer) -> dict[str, Any]:
        """The keys of the peer's file as JSON values, null or empty where it does not say, and its state."""
        return attrs.asdict(peer, recurse=False, value_serializer=_plain) | {"state": self.state(peer)}

    def effective(self, peer: Peer) -> dict[str, Any]:
        """What holds for the peer with every default filled in."""
        return {
            "listen_port": peer.listen_port or self.mesh.listen_port,
            "mtu": peer.mtu or self.mesh.mtu,
            "persistent_keepalive": self.mesh.keepalive_of(peer),
            "dns_name": f"{peer.name}.{self.mesh.dns_zone}",
            "relay": peer.name in self._renderer.topology.members and self._renderer.topology.is_relay(peer.name),
            "relays": self._relays(peer),
            "gateways": self.gateways(peer),
            "exit": self.exit_of(peer),
            "exit_of": list(self.exits.get(peer.name, ())),
        }

    def _relays(self, peer: Peer) -> list[str]:
        """The relays that may carry its traffic to peers that it cannot meet directly."""
        topology = self._renderer.topology
        return list(topology.relays_of(peer.name, peer.name)) if peer.name in topology.members else []

    def is_member(self, name: str) -> bool:
        """Whether the peer is in the mesh, managed or not."""
        return name in self._renderer.topology.members

    def path(self, one: str, other: str) -> tuple[str, ...]:
        """The peers that a packet passes between two members, both included."""
        return tuple(peer.name for peer in self._renderer.topology.path(one, other))

    def relays_between(self, one: str, other: str) -> tuple[str, ...]:
        """The relays that may carry what two members send each other."""
        return self._renderer.topology.relays_of(one, other)

    def can_talk(self, one: str, other: str) -> bool:
        """Whether packets can pass between two peers that have a tunnel with each other."""
        peers = self.mesh.peers
        return self._renderer.topology.can_talk(peers[one], peers[other])

    @property
    def relays(self) -> tuple[str, ...]:
        """The peers that forward for pairs that cannot meet directly."""
        return self._renderer.topology.relays

    @property
    def relayed(self) -> str:
        """Which pairs may need the relays, as a sentence; empty where there are none."""
        return relayed(self._renderer.topology)

    def gateways(self, peer: Peer) -> dict[str, list[str]]:
        """The networks that the peer has as others do: who leads to each, the first choice first."""
        found = self._renderer.topology.gateways.items()
        return {str(network): list(names) for network, names in found if peer.name in names}

    @property
    def shared(self) -> tuple[str, ...]:
        """By whom the networks are reached that several peers lead to, a sentence for each."""
        return shared(self._renderer.topology)

    @property
    def exits(self) -> Mapping[str, list[str]]:
        """Who uses which exit: peers, by the name of the exit."""
        return self._renderer.topology.users_of_exits

    def exit_of(self, peer: Peer) -> str | None:
        """The exit that the peer uses, None if it uses none."""
        topology = self._renderer.topology
        return topology.exit_of(peer.name) if peer.name in topology.members else None

    def talks_to(self, peer: Peer) -> list[dict[str, Any]]:
        """The peers it has a tunnel with, and what each tunnel carries; none when it is not in the mesh."""
        if peer.name not in self._renderer.topology.members:
            return []
        exported = {} if peer.managed else {one.name: one for one in self._renderer.desired(peer.name).peers}
        return [
            {
                "name": neighbour.peer.name,
                "endpoint": list(map(str, neighbour.peer.endpoint)),
                "allowed_ips": in_order(exported[neighbour.peer.name].allowed_ips)
                if exported
                else list(map(str, neighbour.allowed_ips)),
            }
            for neighbour in self._renderer.topology.neighbours(peer.name)
        ]


def relayed(topology: Topology) -> str:
    """Which pairs may need the relays, and what these see, as a sentence; empty where there are none."""
    hidden = [peer.name for peer in topology.hidden if peer.managed]
    if not topology.relays or len(hidden) < 2:
        return ""
    relay = f"the relay {topology.relays[0]}" if len(topology.relays) == 1 else f"a relay ({some(topology.relays)})"
    return f"where two of {some(hidden)} cannot meet directly, packets pass {relay}, which sees them"


def shared(topology: Topology) -> tuple[str, ...]:
    """By whom the networks are reached that several peers lead to, a sentence for each."""
    found = sorted((str(network), names) for network, names in topology.gateways.items())
    return tuple(
        f"{network} is reached by {names[0]}, while that is silent by {_or(names[1:])}" for network, names in found
    )


def _or(names: Sequence[str]) -> str:
    return ", else ".join(names)


def _plain(_: object, __: object, value: Any) -> Any:
    if isinstance(value, tuple):
        return list(map(str, value))
    return value if value is None or isinstance(value, str | int | bool) else str(value)
