"""Nodes with WireGuard interfaces, and on some of them the watchdog, driven at the pace of the daemon."""

from __future__ import annotations

import ipaddress
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, evolve, field, frozen

from mesh_sync.names.nameservers import Answer
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.wireguard.underlay import Tunnel
from mesh_sync.wireguard.ways import Way, Ways
from mesh_watchdog.policy.actions import Action, Announce, AskWays, Call, LookUp, Open, Probe, SetEndpoint
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.dns_names import NameState
from mesh_watchdog.policy.observations import (
    Applied,
    Declared,
    Here,
    Observation,
    Reported,
    Routed,
    Seen,
    Sighting,
    Snapshot,
    Sought,
    Surroundings,
)
from mesh_watchdog.policy.peer import PeerState
from mesh_watchdog.policy.polling import next_poll
from mesh_watchdog.policy.state import State
from sim import tunnel
from sim.history import Clock
from sim.underlay import PORT, Packet, Site, Underlay
from sim.zone import Resolver, Zone

IDLE = 4.0
NOTICED = 0.3
"""Seconds after which the kernel's message about an own address is believed."""
DEED = 0.005
ASKED = 0.01
"""Seconds for which the kernel is asked about its routes."""
NOBODY = Declared("", (), "")


@frozen
class Written:
    """One endpoint that was set: when, whose, to what, and how long that peer had been silent in truth."""

    moment: float
    key: str
    endpoint: str
    silence: float
    initiation: float


@define(eq=False, repr=False)
class Node:
    """A machine. ``firewalled``: nothing that comes out of the tunnel is answered; ``lag``: seconds that its watchdog
    takes to hear what others tell it."""

    name: str
    world: World
    site: Site
    resolver: Resolver
    firewalled: bool = False
    lag: float = 0.0
    offset: float = 1_700_000_000.0
    tunnels: dict[str, tunnel.Tunnel] = field(factory=dict)
    interface: bool = True
    state: State | None = None
    applied: Applied = Applied({})
    writes: list[Written] = field(factory=list)
    looks: list[tuple[float, str]] = field(factory=list)
    probes: Counter[str] = field(factory=Counter)
    notes: list[tuple[float, Announce]] = field(factory=list)
    pongs: dict[str, list[float]] = field(factory=dict)
    broken: list[str] = field(factory=list)
    calls: list[tuple[float, Call]] = field(factory=list)
    opened: list[tuple[float, Open]] = field(factory=list)
    published: dict[str, tuple[str, ...]] = field(factory=dict)
    _run: int = 0
    _next: int = 0

    # -- the machine

    def wall(self) -> float:
        return self.world.clock.now + self.offset

    def connect(self, peer: str, endpoint: str = "", keepalive: float = 0.0) -> tunnel.Tunnel:
        made = tunnel.Tunnel(
            self.world.clock, self.world.chance, self.name, peer, self.wall, self._emit,
            lambda payload: self._inner(peer, payload), endpoint, keepalive,
        )  # fmt: skip
        self.tunnels[peer] = made
        made.start()
        return made

    def disconnect(self, peer: str) -> None:
        self.tunnels.pop(peer).remove()

    def ping(self, peer: str) -> None:
        if self.interface and peer in self.tunnels:
            self.tunnels[peer].data("ping")

    def receive(self, packet: Packet, source: str) -> None:
        if self.interface and packet.receiver == self.name and packet.sender in self.tunnels:
            self.tunnels[packet.sender].receive(packet, source)

    def _emit(self, packet: Packet, to: str) -> None:
        if self.interface:
            self.world.underlay.send(self.site, packet, to)

    def _inner(self, peer: str, payload: str) -> None:
        if payload == "pong":
            self.pongs.setdefault(peer, []).append(self.world.clock.now)
        elif payload.startswith("{") and self.state is not None:
            self._talk(peer, **json.loads(payload))
        elif not self.firewalled and peer in self.tunnels:
            self.tunnels[peer].data("pong")

    # -- what it and others ask each other

    def _talk(self, peer: str, kind: str, about: str, found: list[list[Any]]) -> None:
        """A call of a peer, or the answer to one, or word that a peer looks for this node."""
        sightings = tuple(Sighting(endpoint, age, own) for endpoint, age, own in found)
        if kind == "report":
            self._hear_late(Reported(peer, about, sightings))
        elif kind == "search":
            self._hear_late(Sought(about, peer, sightings))
        else:
            self.published[peer] = tuple(sighting.endpoint for sighting in sightings)
            self._tell(peer, "report", about, self._sightings(about))
            if about != peer and about in self.tunnels:
                self._tell(about, "search", peer, self._sightings(peer))

    def _tell(self, peer: str, kind: str, about: str, found: Iterable[Iterable[Any]]) -> None:
        if self.interface and peer in self.tunnels:
            self.tunnels[peer].data(json.dumps({"kind": kind, "about": about, "found": list(map(list, found))}))

    def _sightings(self, key: str) -> list[tuple[str, float, bool]]:
        """Where this node sees a peer, and where that says it is."""
        seen, now = self.tunnels.get(key), self.world.clock.now
        found = [(seen.endpoint, now - seen.alive, False)] if seen and now - seen.alive < 180 else []
        return found + [(endpoint, 0.0, True) for endpoint in self.published.get(key, ())]

    # -- its watchdog

    def watch(self, peers: Mapping[str, Declared], routes: Iterable[str] = ()) -> None:
        """Start the watchdog, with an applied state; ``routes`` lead into the tunnel."""
        here = Here(name=self.name, key=self.name, port=PORT)
        self.applied = Applied(peers, Tunnel("wg0", routes), here=here)
        self.state = evolve(State(), surroundings=self.surroundings())
        self._start()

    def restart(self) -> None:
        """The watchdog dies; the next one has what survives on disk, and nothing else."""
        assert self.state
        now = self.world.clock.now
        self.state = State(
            peers={
                key: PeerState(declared=NOBODY, since=now, heard=now, good=peer.good)
                for key, peer in self.state.peers.items()
            },
            names={host: NameState(addresses=name.addresses) for host, name in self.state.names.items()},
            surroundings=self.surroundings(),
        )
        self._start()

    def apply(self, peers: Mapping[str, Declared]) -> None:
        """Another applied state: the interface and the watchdog have it at once."""
        self.applied = evolve(self.applied, peers=peers)
        for key in [key for key in self.tunnels if key not in peers]:
            self.disconnect(key)
        self._observe(self.applied)

    def moved(self) -> None:
        """The kernel tells of a change of addresses, routes or links."""
        self.world.clock.after(NOTICED, lambda: self._observe(self.surroundings()))

    def surroundings(self) -> Surroundings:
        own = [*self.site.inner] if self.site.nat else list(self.site.public.values())
        versions = set(self.site.public) if self.site.link else set()
        return Surroundings(frozenset(map(ipaddress.ip_address, own)), frozenset(versions))

    def ways(self, addresses: Iterable[str]) -> Ways:
        """What its kernel says: there is a way to every address of an IP version that it has one of."""
        known = {one: Way("eth0") for one in addresses if ipaddress.ip_address(one).version in self.site.public}
        return Ways(known, known) if self.site.link else Ways()

    def seen(self) -> dict[str, Seen] | None:
        if not self.interface:
            return None
        return {key: Seen(t.endpoint, t.handshake, t.rx, t.tx) for key, t in self.tunnels.items()}

    def phase(self, peer: str) -> str:
        assert self.state
        return self.state.peers[peer].phase

    def _start(self) -> None:
        self._run += 1
        self._observe(self.applied)

    def _observe(self, observation: Observation) -> None:
        if self.state is None:
            return
        now = self.world.clock.now
        self.state, actions = decide(self.state, observation, now)
        for action in actions:
            self._check(action)
            self.world.clock.after(DEED, lambda action=action: self._do(action))  # type: ignore[misc]
        wait = 0.02
        if isinstance(observation, Snapshot):
            wait = next_poll(self.state, now, idle=IDLE)
        self._next += 1
        turn, run = self._next, self._run
        self.world.clock.after(wait, lambda: self._read(turn, run))

    def _read(self, turn: int, run: int) -> None:
        if turn != self._next or run != self._run:
            return
        self._observe(Snapshot(self.seen()))

    def _check(self, action: Action) -> None:
        """What must hold of every action, whatever happened before it."""
        if isinstance(action, SetEndpoint | Probe) and action.key not in self.applied.peers:
            self.broken.append(f"{action} for a key that is not in the applied state")
        if isinstance(action, SetEndpoint) and (not self.interface or action.key not in self.tunnels):
            self.broken.append(f"{action} for a peer that the interface does not have")
        if not isinstance(action, SetEndpoint) or action.key not in self.tunnels:
            return
        now, tunnel = self.world.clock.now, self.tunnels[action.key]
        written = Written(now, action.key, action.endpoint, now - tunnel.alive, now - tunnel.heard)
        self.writes.append(written)
        if written.silence < 2.0 or written.initiation < 1.9:
            self.broken.append(f"{written}: it is alive")
        assert self.state
        if not self.state.peers[action.key].silent:
            self.broken.append(f"{written}: it is not even suspect")

    def _do(self, action: Action) -> None:
        match action:
            case Probe(key):
                self.probes[key] += 1
                self.ping(key)
            case SetEndpoint(key, endpoint, _, afresh):
                if key in self.tunnels:
                    self._set_endpoint(key, endpoint, afresh)
            case Open(_, endpoint, ttl):
                self.opened.append((self.world.clock.now, action))
                self.world.underlay.open(self.site, endpoint, ttl)
            case Call(about, observers, candidates):
                self.calls.append((self.world.clock.now, action))
                for observer in observers:
                    self._tell(observer, "call", about, [(each, 0.0, True) for each in candidates])
            case AskWays(addresses):
                told, run = Routed(addresses, self.ways(addresses)), self._run
                self.world.clock.after(ASKED, lambda: self._hear(told, run))
            case LookUp(host):
                self.looks.append((self.world.clock.now, host))
                run = self._run
                self.resolver.ask(host, self.site.works, lambda answer: self._hear(answer, run))
            case Announce():
                self.notes.append((self.world.clock.now, action))

    def _set_endpoint(self, key: str, endpoint: str, afresh: bool) -> None:
        before = self.tunnels[key]
        if afresh and not before.rx and not before.handshake:
            self.disconnect(key)
            self.connect(key, endpoint, before.keepalive)
        else:
            before.endpoint = endpoint

    def _hear_late(self, told: Reported | Sought) -> None:
        run = self._run
        self.world.clock.after(self.lag, lambda: self._hear(told, run))

    def _hear(self, answer: Answer | Routed | Reported | Sought, run: int) -> None:
        if run == self._run:
            self._observe(answer)


@define(eq=False, repr=False)
class World:
    """Everything there is."""

    seed: int = 1
    clock: Clock = field(factory=Clock)
    zone: Zone = field(factory=Zone)
    nodes: dict[str, Node] = field(factory=dict)
    chance: random.Random = field(init=False)
    underlay: Underlay = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.underlay = Underlay(self.clock, self.chance)

    def node(self, name: str, *addresses: str, nat: bool = False, forward: bool = False, **site_: Any) -> Node:
        public: dict[int, str] = {ipaddress.ip_address(address).version: address for address in addresses}
        site = Site(public, nat, forward, **site_)
        self.underlay.sites.append(site)
        self.nodes[name] = node = Node(name, self, site, Resolver(self.clock, self.zone))
        site.receive = node.receive
        return node

    def run(self, seconds: float) -> None:
        self.clock.run(seconds)
        assert not [line for node in self.nodes.values() for line in node.broken]

    def traffic(self, source: Node, peer: str, every: float = 0.5) -> None:
        """From now on ``source`` pings a peer."""
        self.clock.every(every, lambda: source.ping(peer))


def at(address: str, port: int = PORT) -> str:
    return str(Endpoint(address, port))


def declared(name: str, endpoints: Iterable[str] = (), resolved: str = "", *, managed: bool = True) -> Declared:
    """A peer of the list; an endpoint without a port has the usual one."""
    texts = (text if text.rpartition(":")[2].isdigit() and ":" in text else f"{text}:{PORT}" for text in endpoints)
    return Declared(name, tuple(map(Endpoint.parse, texts)), "10.0.0.1", resolved, managed=managed)
