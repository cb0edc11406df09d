"""What the watchdog did since it started: numbers that only grow."""

from __future__ import annotations

from collections import Counter

from attrs import Factory, define


@define
class Tally:
    """By public key: ``writes`` of endpoints, ``avoided`` (it was heard in between), ``searches``; the rest in all."""

    writes: Counter[str] = Factory(Counter)
    avoided: Counter[str] = Factory(Counter)
    searches: Counter[str] = Factory(Counter)
    probes: int = 0
    dns_queries: int = 0
    dns_failures: int = 0
    readings: int = 0
