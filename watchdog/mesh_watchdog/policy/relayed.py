"""What is believed of peers that are reached through a relay. Values; what is done about them is in `relaying`."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

RELAYED = "relayed"
"""The state that such a peer is shown in: whether packets arrive is not known, for the relay's counters count them."""


@frozen
class Carried:
    """What became of one peer. ``relay``: the key of the one that carries it, empty: none, any more.

    ``since``: when that began; ``tell``: when the other end is told (again), ``told``: how often it was; ``returns``:
    how often a direct path was found lately that did not last; ``readings``: of the interface since then, of which the
    last that may show what was received before was at ``settled``.
    """

    relay: str
    since: float
    tell: float = float("inf")
    told: int = 0
    returns: int = 0
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
