"""What is known of networks that several peers lead to. Values only; `leading` acts on them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

LONG_AGO = float("-inf")


@frozen
class Led:
    """One such network. ``by``: the key of the peer that is sent what is for it; ``since``: when that began.

    ``returns``: how often lately an earlier choice got it back and did not last.
    """

    by: str
    since: float = LONG_AGO
    returns: int = 0


@frozen
class Leading:
    """``order``: by network, the keys of the peers that lead to it, the first choice first; ``now``: by network."""

    order: Mapping[str, tuple[str, ...]] = field(factory=dict)
    now: Mapping[str, Led] = field(factory=dict)

    @property
    def gateways(self) -> frozenset[str]:
        """The keys of all peers that lead to such a network."""
        return frozenset(key for keys in self.order.values() for key in keys)
