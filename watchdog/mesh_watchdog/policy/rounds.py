"""What is known of rounds of many packets, and how many of them are allowed. Values only; `birthday` acts on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen

from mesh_sync.wireguard.port_rewriting import Rewriting
from mesh_watchdog.policy.observations import Standing
from mesh_watchdog.policy.repeating import repeating

SOURCE = "birthday"
"""The source of the endpoint of a peer that was met by such a round."""
ENTRIES = 1024
"""Entries that rounds may make in the tables of routers …"""
ENTRIES_WITHIN = 30.0
"""… within this many seconds; a round counts in full, however early it ends."""
BACK_OFF = (600.0, 3600.0, 21600.0)
"""Seconds from a round that failed to the next one with the same peer; the last one repeats."""
LENIENT = 0.9
"""The share of that pause that an invited node insists on: the other end counts from a slightly later moment."""
AFTER_SUCCESS = 60.0
"""Seconds from a successful round to the next one."""
LASTED = 120.0
"""Seconds; a path that is lost sooner counts as a failure."""
TARGET_REST = LENIENT * BACK_OFF[0]
"""Seconds for which an address is left alone after a round that failed, whichever peer is said to be there."""


@frozen
class Pair:
    """The rounds with one peer: how many ``failed`` in a row, and when the last one ``began``.

    ``met``: since when the path that it found exists, None if there is none.
    """

    failed: int = 0
    began: float = float("-inf")
    met: float | None = None

    def pause(self) -> float:
        """Seconds from the last round to the next."""
        return repeating(BACK_OFF, self.failed - 1) if self.failed else AFTER_SUCCESS

    def after(self, *, failed: bool) -> Pair:
        """The pair after another round, or after the path it found was lost."""
        return evolve(self, failed=self.failed + 1 if failed else 0, met=None)

    def is_due(self, moment: float, *, invited: bool) -> bool:
        """Whether another round may begin; ``invited``: at the other end's request."""
        return self.met is None and moment - self.began >= self.pause() * (LENIENT if invited else 1.0)


@frozen
class Round:
    """The round under way. ``target``: the endpoint whose packets the ports wait for, or the address to knock at.

    ``hit``: when a knock arrived.
    """

    key: str
    began: float
    target: str
    hit: float | None = None


@frozen(kw_only=True)
class Birthday:
    """``on``, ``metered``: as in node.toml. ``said``: what peers last said of themselves, and when, by key.

    ``pairs``: by key; ``invited``: the peer that was last invited, and when; ``wish``: who invited us, its address, the
    observer that passed it on, and when; ``round``: the one under way; ``spent``: entries made in the tables of
    routers, and when; ``useless``: addresses at which rounds failed, and when. ``rules``: what is rewritten; None if
    that is unknown, and then it is left as it is.
    """

    on: bool = False
    metered: frozenset[str] = frozenset()
    said: Mapping[str, tuple[float, Standing]] = field(factory=dict)
    pairs: Mapping[str, Pair] = field(factory=dict)
    invited: tuple[str, float] = ("", float("-inf"))
    wish: tuple[str, str, str, float] | None = None
    round: Round | None = None
    spent: tuple[tuple[float, int], ...] = ()
    useless: Mapping[str, float] = field(factory=dict)
    rules: frozenset[Rewriting] | None = None

    def allows(self, entries: int, moment: float) -> bool:
        """Whether a round that makes so many entries may begin now."""
        return sum(many for _, many in _lately(self.spent, moment)) + entries <= ENTRIES

    def begin(self, key: str, target: str, entries: int, moment: float) -> Birthday:
        """With a round that begins now."""
        pair = self.pairs.get(key, Pair())
        begun = evolve(pair, began=moment, met=None)
        spent = (*_lately(self.spent, moment), (moment, entries))
        started = Round(key, moment, target)
        return evolve(
            self, round=started, pairs={**self.pairs, key: begun}, spent=spent, wish=None, invited=Birthday().invited
        )  # fmt: skip

    def end(self, *, met: bool, moment: float) -> Birthday:
        """Without the round under way, which succeeded or not."""
        if self.round is None:
            return self
        key, useless = self.round.key, dict(self.useless)
        if met:
            pair = evolve(self.pairs[key], met=moment)
        else:
            pair = self.pairs[key].after(failed=True)
            useless[self.round.target] = moment
        useless = {target: since for target, since in useless.items() if moment - since < TARGET_REST}
        return evolve(self, round=None, pairs={**self.pairs, key: pair}, useless=useless)

    def is_useless(self, target: str, moment: float) -> bool:
        """Whether a round with this target failed lately."""
        return moment - self.useless.get(target, float("-inf")) < TARGET_REST

    def is_settling(self, key: str) -> bool:
        """Whether a knock of this peer has just arrived, and a handshake is to follow."""
        return self.round is not None and self.round.key == key and self.round.hit is not None


def _lately(spent: Iterable[tuple[float, int]], moment: float) -> tuple[tuple[float, int], ...]:
    return tuple(each for each in spent if moment - each[0] < ENTRIES_WITHIN)
