"""A node with the real policy, and a tunnel to every peer of the list; what its machine does for the policy."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from mesh_sync.wireguard.underlay import Tunnel
from mesh_watchdog.policy.actions import Action, Call, Carry, LookUp, Probe, SetEndpoint
from mesh_watchdog.policy.news import Ask, Heard, Pull, Tell
from mesh_watchdog.policy.observations import Applied, Declared, Here, Reported, Seen, Sighting, Sought, Surroundings
from mesh_watchdog.policy.state import State
from sim.large.kinds import EASY, is_hidden
from sim.underlay import PORT, Packet
from sim.world import Node, at

if TYPE_CHECKING:
    from sim.large.mesh import Mesh


@define(eq=False, repr=False, kw_only=True)
class Sampled(Node):
    """``placed``: the relay that has a peer's allowed IPs; ``answered``: when a user's packet to a peer was last
    answered; ``steps``: how often the policy was asked; ``asleep``: it is not, meanwhile; ``changed``: when it was last
    switched on or off, or moved; ``born``: when its interface was made, ``slept``: how long it has slept since,
    ``lay_down``: when it last fell asleep."""

    mesh: Mesh
    kind: str
    placed: dict[str, str] = field(factory=dict)
    answered: dict[str, float] = field(factory=dict)
    steps: int = 0
    asleep: bool = False
    born: float = 0.0
    slept: float = 0.0
    lay_down: float = 0.0
    changed: float = 0.0
    _seen: dict[str, Seen] = field(factory=dict)
    _stale: set[str] = field(factory=set)

    # -- its machine

    @property
    def is_on(self) -> bool:
        return self.interface and self.site.works

    def begin(self, peers: Mapping[str, Declared]) -> None:
        """The machine starts: a new interface, and a watchdog that has what is on disk."""
        memory = self.state
        for key in list(self.tunnels):
            self.disconnect(key)
        for table in (self.placed, self._seen, self._stale):
            table.clear()
        self.interface, self.asleep, self.changed = True, False, self.world.clock.now
        self.born, self.slept = self.changed, 0.0
        for key in peers:
            self._join(key)
        self.watch(peers)
        if memory is not None:
            self.state = memory
            self.restart()

    def sleep(self) -> None:
        """The machine sleeps, with its interface and its watchdog as they are."""
        self.lay_down = self.changed = self.world.clock.now
        self.interface, self.asleep = False, True

    def wake(self) -> None:
        now = self.world.clock.now
        self.slept += now - self.lay_down
        self.interface, self.asleep, self.changed = True, False, now
        self._observe(self.surroundings())

    def _join(self, key: str) -> None:
        where, is_kept = self.mesh.where_listed(key), is_hidden(self.kind) and self.mesh.declared[key].relay
        if self.state is None and not where and self.mesh.nodes[key].kind == EASY:
            where = at(self.mesh.nodes[key].site.public[4])  # the week begins with a mesh that has met
        self.connect(key, where, 25.0 if is_kept else 0.0)
        self._stale.add(key)

    def watch(self, peers: Mapping[str, Declared], routes: object = ()) -> None:
        own = self.mesh.declared[self.name]
        here = Here(self.name, self.name, "", own.addresses, PORT)
        self.applied = Applied(peers, Tunnel("wg0", ()), here=here)
        self.state = State(surroundings=self.surroundings())
        self._start()

    def apply(self, peers: Mapping[str, Declared]) -> None:
        for key in peers.keys() - self.tunnels.keys():
            self._join(key)
        for key in self.tunnels.keys() - peers.keys():
            self.placed.pop(key, None)
            self._seen.pop(key, None)
            self.answered.pop(key, None)
        super().apply(peers)

    def surroundings(self) -> Surroundings:
        address = "192.168.1.2" if self.site.nat else self.site.public[4]
        return Surroundings(frozenset([ipaddress.ip_address(address)]), frozenset([4] if self.site.link else []))

    def receive(self, packet: Packet, source: str) -> None:
        self._stale.add(packet.sender)
        super().receive(packet, source)

    def _emit(self, packet: Packet, to: str) -> None:
        self._stale.add(packet.receiver)
        if not self.interface:  # asleep or off: nothing is sent, whatever the timers of its tunnels say
            self.tunnels[packet.receiver].tx -= packet.size
        super()._emit(packet, to)

    def seen(self) -> dict[str, Seen] | None:
        if not self.interface:
            return None
        stale, self._stale = self._stale & self.tunnels.keys(), set()
        for key in stale:
            t, own = self.tunnels[key], frozenset() if key in self.placed else self._allowed(key)
            more = {net for peer, relay in self.placed.items() if relay == key for net in self._allowed(peer)}
            self._seen[key] = Seen(t.endpoint, t.handshake, t.rx, t.tx, bool(own | more), own | more)
        return dict(self._seen)

    def _allowed(self, key: str) -> frozenset[str]:
        return frozenset(self.mesh.declared[key].allowed)

    # -- what users and others send

    def greet(self, peer: str) -> None:
        """A user's packet to a peer, where its allowed IPs are."""
        if relay := self.placed.get(peer):
            self.tunnels[relay].data(f"over {peer} hello")
        else:
            self.tunnels[peer].data("hello")

    def _inner(self, peer: str, payload: str) -> None:
        word, _, rest = payload.partition(" ")
        match word:
            case "hello" if peer not in self.placed:
                self.tunnels[peer].data("thanks")
            case "thanks" if peer not in self.placed:
                self.answered[peer] = self.world.clock.now
            case "from":
                self._over(peer, *rest.split())
            case "news":
                self._observe(Heard(peer, rest))
            case "which":
                self._send(peer, f"news {self.mesh.gossip.applied(self.name)}")
            case "ping":
                self.tunnels[peer].data("pong")
            case _ if payload.startswith("{"):
                super()._inner(peer, payload)

    def _over(self, relay: str, origin: str, payload: str) -> None:
        if self.placed.get(origin) != relay:
            return
        if payload == "hello":
            self.tunnels[relay].data(f"over {origin} thanks")
        else:
            self.answered[origin] = self.world.clock.now

    def _talk(self, peer: str, kind: str, about: str, found: list) -> None:  # type: ignore[type-arg]
        if kind == "follow":
            self._hear_late(Sought(about, peer, tuple(Sighting(*each) for each in found), relayed=True))
        else:
            super()._talk(peer, kind, about, found)

    def _hear_late(self, told: Reported | Sought) -> None:
        self._observe(told)

    # -- what its watchdog does

    def _observe(self, observation: object) -> None:
        if self.asleep:
            return
        self.steps += 1
        super()._observe(observation)  # type: ignore[arg-type]

    def _do(self, action: Action) -> None:
        now = self.world.clock.now
        match action:
            case Probe(key):
                if key in self.tunnels:
                    self.mesh.figures.probed(self.name, key, now)
                    self.tunnels[key].data("ping")
            case Carry(key, relay):
                self._carry(key, relay)
            case Call(about, observers, candidates, relayed):
                for observer in observers:
                    self.mesh.figures.called(self.name, now)
                    self._tell(observer, "relayed" if relayed else "call", about, [(c, 0.0, True) for c in candidates])
            case Tell(commit, peers):
                self.mesh.figures.told(self.name, len(peers), now)
                for peer in peers:
                    self._send(peer, f"news {commit}")
            case Ask(peer):
                self._send(peer, "which")
            case Pull(_, tellers):
                self.mesh.gossip.pull(self.name, tellers)
            case _:
                if isinstance(action, SetEndpoint):
                    self._stale.add(action.key)
                    self.mesh.figures.wrote(self.name, self._run, action.key, now)
                elif isinstance(action, LookUp):
                    self.mesh.figures.asked_dns(self.name, action.host, now)
                super()._do(action)
        for kept in (self.notes, self.looks, self.opened, self.writes):
            kept.clear()

    def _send(self, peer: str, payload: str) -> None:
        if peer in self.placed:
            self.mesh.gossip.relayed(self.name, peer, payload)
        elif peer in self.tunnels:
            self.tunnels[peer].data(payload)

    def _carry(self, key: str, relay: str) -> None:
        if key not in self.tunnels or (relay and relay not in self.tunnels):
            return
        self._stale |= {key, relay or key, self.placed.get(key, key)}
        if relay:
            self.placed[key] = relay
        else:
            self.placed.pop(key, None)

    def restart(self) -> None:
        super().restart()
        assert self.state
        self.state = evolve(self.state, surroundings=self.surroundings())
