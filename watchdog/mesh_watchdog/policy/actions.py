"""What the watchdog can do: what `policy.decide` returns. Values only."""

from __future__ import annotations

from attrs import frozen

from mesh_sync.names.nameservers import Nameserver
from mesh_sync.wireguard.port_rewriting import Rewriting
from mesh_watchdog.policy.news import Ask, Pull, Tell


@frozen
class Probe:
    """Send one small packet into the tunnel: WireGuard owes an answer, or begins a handshake (fact 12)."""

    key: str


@frozen
class SetEndpoint:
    """Set the endpoint of a peer, if it is still there and still silent. ``source`` says where it comes from.

    ``afresh``: a peer that never had a session on this interface is made again with it. So its handshake begins at
    once, and not 5 s after the last one, which had no endpoint to go to.
    """

    key: str
    endpoint: str
    source: str
    afresh: bool = False


@frozen
class LookUp:
    """Ask these nameservers for A and AAAA of ``host``, each with its mark."""

    host: str
    servers: tuple[Nameserver, ...] = ()


@frozen
class AskWays:
    """Ask the kernel for the routes to these addresses, and to the nameservers."""

    addresses: frozenset[str]


@frozen
class AskPath:
    """Measure how large packets may be on the path to a peer that was heard at a new endpoint."""

    key: str


@frozen
class FollowUplink:
    """Give the interface the MTU that our network leaves for it now."""


@frozen
class Promote:
    """Give each peer that has two keys its allowed IPs under the one it speaks under."""


@frozen
class Announce:
    """A change of state that an operator can act on; an empty ``key`` means this node itself."""

    key: str
    text: str
    urgent: bool = False


@frozen
class Call:
    """Ask ``observers`` where a peer is, and have them tell it who looks for it and where that one is (``candidates``).

    With this node's own key the question is just "where do you see me?". ``relayed``, ``direct``: see `Sought`;
    ``now``: this node is ready for a round with the peer.
    """

    about: str
    observers: tuple[str, ...]
    candidates: tuple[str, ...] = ()
    relayed: bool = False
    direct: bool = False
    now: bool = False


@frozen
class Open:
    """Send a packet from WireGuard's own port that passes our NAT and dies before theirs, after ``ttl`` hops."""

    key: str
    endpoint: str
    ttl: int


@frozen
class Carry:
    """Move the allowed IPs of a peer to another one that relays for it; an empty ``relay``: back to itself.

    ``text``: what is announced of the peer once that is done.
    """

    key: str
    relay: str
    text: str


@frozen
class Lead:
    """Move a network that several peers lead to to this one of them; ``text``: what is announced of it then."""

    network: str
    key: str
    text: str


@frozen
class Knock:
    """Send packets from WireGuard's own port to random ports of this address, at most 1,024 in 3 s."""

    address: str


@frozen
class AwaitKnocks:
    """Open many ports towards the endpoint with packets that live for ``ttl`` hops, and listen on all of them."""

    endpoint: str
    ttl: int


@frozen
class EndRound:
    """Stop knocking, and close the ports."""


@frozen
class Rewrite:
    """Rewrite the interface's packets by these rules and no others."""

    rules: frozenset[Rewriting]


Action = (
    Probe | SetEndpoint | LookUp | AskWays | AskPath | FollowUplink | Promote | Announce | Call | Open | Carry
    | Lead | Knock | AwaitKnocks | EndRound | Rewrite | Tell | Ask | Pull
)  # fmt: skip
