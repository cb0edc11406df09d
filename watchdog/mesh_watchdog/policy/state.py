"""Everything the watchdog believes."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from mesh_sync.wireguard.endpoint import Network
from mesh_watchdog.policy.dns_names import NameState
from mesh_watchdog.policy.events import Pairs, Seen, Surroundings
from mesh_watchdog.policy.peer import PeerState


@frozen(kw_only=True)
class State:
    """Moments are seconds on the monotonic clock.

    ``tunnelled``, ``mark``, ``pairs``: as applied; ``paired``: since when there are pairs; ``probe_all``: when all
    peers are to be probed (R5), ``probed_all``: when they last were; ``looked``: the last reading of the interface;
    ``cut_off``: this machine is (R4); ``calm``: until then no peer is suspected, because it was; ``witnesses_from``:
    until then no more witnesses are asked; ``measured``: the reading from which traffic is measured, and when that was;
    ``flowed``: when traffic last flowed.
    """

    peers: Mapping[str, PeerState] = field(factory=dict)
    names: Mapping[str, NameState] = field(factory=dict)
    tunnelled: tuple[Network, ...] = ()
    mark: int = 0
    pairs: Pairs = field(factory=dict)
    paired: float | None = None
    surroundings: Surroundings = Surroundings(frozenset(), frozenset())
    probe_all: tuple[float, ...] = ()
    probed_all: float | None = None
    looked: float | None = None
    measured: tuple[float, Mapping[str, Seen]] = (0.0, {})
    flowed: float = float("-inf")
    interface: bool = False
    cut_off: bool = False
    calm: float = 0.0
    witnesses_from: float = 0.0
