"""What is known of peers that are reached through a relay. Values only; `relaying` acts on them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

RELAYED = "relayed"
"""The state in which such a peer is shown. Its packets count as the relay's, so whether they arrive is unknown."""


@frozen
class Carried:
    """A peer that is or was carried. ``relay``: the key of the relay that carries it, empty when none does any longer.

    ``since``: when that began; ``tell``: when the other end is told next, ``told``: how often it was; ``returns``: how
    many direct paths lately did not last; ``freed``: the other end sends directly already; ``readings``: of the
    interface since then, up to the last that may still show what was received before, which was at ``settled``.
    """

    relay: str
    since: float
    tell: float = float("inf")
    told: int = 0
    returns: int = 0
    freed: bool = False
    readings: int = 0
    settled: float = float("inf")


@frozen
class Relaying:
    """``relays``: their keys, by name; ``peers``: by key, those that are or were carried; ``seen``: when a relay last
    saw a peer, by both keys, None if it does not.
    """

    relays: Mapping[str, str] = field(factory=dict)
    peers: Mapping[str, Carried] = field(factory=dict)
    seen: Mapping[tuple[str, str], float | None] = field(factory=dict)

    def relay_of(self, key: str) -> str:
        """The key of the relay that carries a peer; empty when none does."""
        return self.peers[key].relay if key in self.peers else ""
