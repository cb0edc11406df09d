"""What is believed of rounds of many packets, and how many of them there may be (`birthday` decides by it). Values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen

from mesh_sync.wireguard.port_rewriting import Rewriting
from mesh_watchdog.policy.observations import Standing
from mesh_watchdog.policy.repeating import repeating

SOURCE = "birthday"
"""Where the endpoint of a peer comes from that was met by such a round."""
ENTRIES = 1024
"""Entries that rounds may make in the tables of routers …"""
ENTRIES_WITHIN = 30.0
"""… within so many seconds; what a round may need counts whether it is needed or not."""
BACK_OFF = (600.0, 3600.0, 21600.0)
"""Seconds from a round that failed to the next one with the same peer; the last one repeats."""
LENIENT = 0.9
"""How much of that the one that is invited insists on: the other end counts from a little later."""
AFTER_SUCCESS = 60.0
"""Seconds from a round that did not fail to the next one."""
LASTED = 120.0
"""A path that is lost again before this counts as a failure."""
TARGET_REST = LENIENT * BACK_OFF[0]
"""Seconds for which an address is left alone, whoever is said to be there, after knocks were of no use."""


@frozen
class Pair:
    """The rounds with one peer: how many of the last ones ``failed``, and when the last one ``began``.

    ``met``: since when there is the path that it found, None when there is none.
    """

    failed: int = 0
    began: float = float("-inf")
    met: float | None = None

    def pause(self) -> float:
        """Seconds from the last round to the next."""
        return repeating(BACK_OFF, self.failed - 1) if self.failed else AFTER_SUCCESS

    def after(self, *, failed: bool) -> Pair:
        """The pair after another round, or after the path that was found is gone."""
        return evolve(self, failed=self.failed + 1 if failed else 0, met=None)

    def is_due(self, moment: float, *, invited: bool) -> bool:
        """Whether another round may begin; ``invited``: at the wish of the other end."""
        return self.met is None and moment - self.began >= self.pause() * (LENIENT if invited else 1.0)


@frozen
class Round:
    """The one under way. ``target``: the endpoint that the ports wait for, or the address that is knocked at.

    ``hit``: when something came.
    """

    key: str
    began: float
    target: str
    hit: float | None = None


@frozen(kw_only=True)
class Birthday:
    """``on``, ``metered``: as node.toml has them. ``said``: what peers last said of themselves, and when, by key.

    ``pairs``: by key; ``invited``: which peer was asked to take part, and when; ``wish``: who asked us, where it is
    and by whom, and when; ``round``: the one under way; ``spent``: entries in the tables of routers, and since when;
    ``useless``: addresses that knocks were of no use at, and when. ``rules``: what is rewritten, None where that is
    not known, and not to be touched.
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
        """Without the round under way, which came to this."""
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
        """Whether packets to there were of no use lately."""
        return moment - self.useless.get(target, float("-inf")) < TARGET_REST

    def is_settling(self, key: str) -> bool:
        """Whether a packet of this peer came just now, and a handshake is to follow."""
        return self.round is not None and self.round.key == key and self.round.hit is not None


def _lately(spent: Iterable[tuple[float, int]], moment: float) -> tuple[tuple[float, int], ...]:
    return tuple(each for each in spent if moment - each[0] < ENTRIES_WITHIN)
