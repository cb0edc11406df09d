"""What the watchdog can see: what `policy.decide` is given. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from attrs import field, frozen

from mesh_sync.names.nameservers import Answer, Nameserver
from mesh_sync.wireguard.desired import DEFAULT_ZONE
from mesh_sync.wireguard.endpoint import Address, Endpoint
from mesh_sync.wireguard.longest_prefix import LongestPrefix
from mesh_sync.wireguard.port_rewriting import Rewriting
from mesh_sync.wireguard.underlay import Tunnel
from mesh_sync.wireguard.ways import Ways
from mesh_watchdog.policy.news import Heard, Learnt


@frozen
class Declared:
    """A peer as the applied state has it.

    ``probe`` is one of its mesh addresses; ``resolved`` the numeric endpoint its name stood for when it was last
    applied. ``addresses``: all its mesh addresses; ``allowed``: its allowed IPs; ``managed``: it runs a watchdog, as
    far as the list says. ``relay``: it may carry what this node sends to others; ``direct_only``: no relay may carry
    what is sent to it. ``pair_name``: what the two ends of its pairs call it (`DesiredPeer.pair_name`).
    """

    name: str
    endpoint: tuple[Endpoint, ...]
    probe: str
    resolved: str = ""
    addresses: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    managed: bool = True
    relay: bool = False
    direct_only: bool = False
    pair_name: str = ""

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """The names among its endpoints."""
        return tuple(dict.fromkeys(endpoint.host for endpoint in self.endpoint if endpoint.address is None))


@frozen
class Here:
    """This node as the applied state has it.

    ``key``: the public key it runs; ``other_key``: the second one that the list names while it changes it, else empty;
    ``addresses``: its mesh addresses; ``port``: WireGuard's; ``zone``: where the mesh's names are.
    ``pair_name``: as a peer's.
    """

    name: str = ""
    key: str = ""
    other_key: str = ""
    addresses: tuple[str, ...] = ()
    port: int = 0
    zone: str = DEFAULT_ZONE
    pair_name: str = ""

    def is_me(self, key: str) -> bool:
        """Whether this is a key of this node."""
        return bool(key) and key in (self.key, self.other_key)


Pairs = Mapping[str, str]
"""Of the peers that have two keys: the listed one, and the one they are moving to."""


@frozen
class Seen:
    """A peer as `wg show dump` has it.

    ``endpoint`` is empty when there is none; counters are bytes; ``handshake`` is as printed and only ever compared: it
    is wall clock, and that may jump by decades. ``carries``: it has allowed IPs, which are ``allowed_ips``.
    ``chatter``: the bytes that watchdogs said to each other, as far as they are known.
    """

    endpoint: str
    handshake: int
    rx: int
    tx: int
    carries: bool = True
    allowed_ips: frozenset[str] = frozenset()
    chatter: int = 0

    @property
    def traffic(self) -> int:
        """Bytes received and sent, without those of watchdogs."""
        return self.rx + self.tx - self.chatter


@frozen
class Applied:
    """There is a (new) applied state: its peers by public key.

    ``tunnel``: what leads into it; ``carriers``: the peer, by its key, to whom packets for a network are sent;
    ``mark``: the firewall mark of the tunnel's own packets, 0 for none; ``past_exit``: whether questions for names may
    go past an exit that does not answer. ``gateways``: the keys of those that lead to a network, the first choice
    first, by network, where there are several.
    """

    peers: Mapping[str, Declared]
    tunnel: Tunnel = field(default=Tunnel("wg0"), eq=False)
    carriers: LongestPrefix[str] = field(factory=LongestPrefix, eq=False)
    mark: int = 0
    past_exit: bool = True
    pairs: Pairs = field(factory=dict)
    here: Here = Here()
    gateways: Mapping[str, tuple[str, ...]] = field(factory=dict)


@frozen
class Snapshot:
    """The interface was read; ``peers`` by public key, None when there is no interface.

    ``wall``: when, by the wall clock (Unix seconds), which is the clock of handshakes.
    """

    peers: Mapping[str, Seen] | None
    wall: float = 0.0


@frozen
class Surroundings:
    """This machine's own addresses, and the IP versions by which it can reach others.

    An observation of them means that they changed, or that the machine slept (R5); ``moved`` is False at the start.
    """

    own: frozenset[Address]
    versions: frozenset[int]
    moved: bool = True


@frozen
class Routed:
    """The kernel was ``asked`` for the ways to these addresses, and to the nameservers that this machine has now.

    ``upstreams``: those that a nameserver on this machine asks itself, as far as they are known.
    """

    asked: frozenset[str]
    ways: Ways = Ways()
    nameservers: tuple[Nameserver, ...] = ()
    upstreams: tuple[Nameserver, ...] = ()


@frozen
class Sighting:
    """Where a peer is, according to another one: it was seen there ``age`` seconds ago.

    ``own``: it was not seen there but says itself that it is: a mapped port, or its address in its own network.
    """

    endpoint: str
    age: float = 0.0
    own: bool = False


ABLE, NOW = "1", "now"
"""A node takes part in rounds of many packets (`policy.birthday`): in general; right now, with the peer it calls."""


@frozen
class Standing:
    """What a peer says of itself besides where it is: the class of its NAT, and whether it takes part in rounds.

    Empty where it says nothing.
    """

    nat: str = ""
    birthday: str = ""


@frozen
class Reported:
    """The peer ``observer`` was asked where ``about`` is: public keys, this node's own where it asked for itself.

    ``standing``: what ``about`` last said of itself.
    """

    observer: str
    about: str
    sightings: tuple[Sighting, ...] = ()
    standing: Standing = Standing()


@frozen
class Sought:
    """``observer`` passes on that the peer ``by`` looks for this node, and where that peer is.

    ``relayed``: the peer has given up on a direct path for now, and its packets come through ``observer``. ``direct``:
    they no longer do, for it has heard this node directly.
    """

    by: str
    observer: str
    sightings: tuple[Sighting, ...] = ()
    relayed: bool = False
    direct: bool = False
    standing: Standing = Standing()


@frozen
class Mapped:
    """The endpoint at which this node's router forwards a port to it; empty when it no longer does.

    ``how``: the protocol, or why there is no mapping; for people.
    """

    endpoint: str
    how: str = ""


@frozen
class Knocked:
    """A packet came from ``endpoint`` to this local port, one of the many that were opened (`AwaitKnocks`)."""

    endpoint: str
    port: int


@frozen
class Rewritten:
    """The rewriting rules that an earlier watchdog left, read at the start."""

    rules: frozenset[Rewriting]


Observation = (
    Applied | Snapshot | Answer | Surroundings | Routed | Reported | Sought | Mapped | Knocked | Rewritten
    | Learnt | Heard
)  # fmt: skip
