"""What the watchdog can see, and what it can do: the two ends of `policy.decide`. Values only."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from mesh_sync.names.nameservers import Answer
from mesh_sync.wireguard.endpoint import Address, Endpoint, Network


@frozen
class Declared:
    """A peer as the applied state has it.

    ``probe`` is a mesh address of it; ``resolved`` the numeric endpoint its name stood for when it was last applied.
    """

    name: str
    endpoint: tuple[Endpoint, ...]
    probe: str
    resolved: str = ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names among its endpoints."""
        return tuple(dict.fromkeys(endpoint.host for endpoint in self.endpoint if endpoint.address is None))


Pairs = Mapping[str, str]
"""Of the peers that have two keys: the listed one, and the one they are moving to."""


@frozen
class Seen:
    """A peer as `wg show dump` has it.

    ``endpoint`` is empty when there is none; counters are bytes; ``handshake`` is as printed and only ever compared:
    it is wall clock, and that may jump by decades. ``carries``: it has allowed IPs.
    """

    endpoint: str
    handshake: int
    rx: int
    tx: int
    carries: bool = True


@frozen
class Applied:
    """There is a (new) applied state: its peers by public key.

    ``tunnelled``: the networks that the tunnel leads to, without default routes; ``mark``: the firewall mark of the
    tunnel's own packets, 0 for none.
    """

    peers: Mapping[str, Declared]
    tunnelled: tuple[Network, ...] = ()
    mark: int = 0
    pairs: Pairs = field(factory=dict)


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

    Observing them means that something about them changed, or that the machine slept (R5), unless they are those of
    the beginning (``moved`` is False).
    """

    own: frozenset[Address]
    versions: frozenset[int]
    moved: bool = True


Observation = Applied | Snapshot | Answer | Surroundings


@frozen
class Probe:
    """Send one small packet into the tunnel: WireGuard owes an answer, or begins a handshake (fact 12)."""

    key: str


@frozen
class SetEndpoint:
    """Set the endpoint of a peer, if it is still there and still silent. ``source`` says where it comes from."""

    key: str
    endpoint: str
    source: str


@frozen
class LookUp:
    """Ask DNS for A and AAAA of ``host``."""

    host: str


@frozen
class Promote:
    """Give each peer that has two keys its allowed IPs under the one it speaks under."""


@frozen
class Announce:
    """A change of state that an operator can act on; an empty ``key`` means this node itself."""

    key: str
    text: str
    urgent: bool = False


Action = Probe | SetEndpoint | LookUp | Promote | Announce
