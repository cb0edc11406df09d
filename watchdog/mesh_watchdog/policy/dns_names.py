"""What is known of the names of silent peers, and when to ask again (rule R10)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import lru_cache

from attrs import evolve, frozen

from mesh_sync.names.nameservers import Answer
from mesh_sync.wireguard.endpoint import Address, Endpoint
from mesh_watchdog.policy.observations import Declared

DNS_FLOOR = 5.0
"""No name is asked more often (R10), but for `DNS_EARLY`: 720 questions in the worst hour."""
DNS_TTL_CAP = 60.0
"""A longer TTL is not waited for (R10)."""
DNS_EAGER = 60.0
"""For so long after a peer fell silent its names are asked as often as their TTL allows; then ever less (R10)."""
DNS_CEILING = 300.0
"""The longest wait between two questions (R10)."""
DNS_EARLY = 300.0
"""So seldom a cached answer that says nothing new is asked for again as soon as it expires, before `DNS_FLOOR`."""
DNS_LOST = 15.0
"""A question without an answer or a failure after this time is forgotten."""


@frozen(kw_only=True)
class NameState:
    """One host name. Times are monotonic seconds.

    ``addresses``: the last answer, or what the name stood for when the mesh was applied; ``answered``: when that was;
    ``changed``: when an answer last differed, as a set, from the one before, and ``replaced``: when that had come;
    ``early``: when it was last asked for before its time.
    """

    addresses: frozenset[Address] = frozenset()
    ttl: float = 0.0
    answered: float | None = None
    changed: float | None = None
    replaced: float | None = None
    early: float | None = None
    problem: str = ""
    failures: int = 0
    asked: float | None = None
    pending: bool = False
    next: float = 0.0
    queries: int = 0


def seeded(host: str, peers: Iterable[Declared], known: NameState | None = None) -> NameState:
    """The name as it is known; before it was ever answered, what it stood for when its peers were applied."""
    if known and known.addresses:
        return known
    seeds = {numeric(peer.resolved) for peer in peers if host in peer.hosts and peer.resolved}
    return evolve(known or NameState(), addresses=frozenset(address for address in seeds if address))


@lru_cache(8192)
def numeric(endpoint: str) -> Address | None:
    """The address of a numeric endpoint; None for one that no other machine can have (`Endpoint.parse` refuses it)."""
    try:
        return Endpoint.parse(endpoint).address
    except ValueError:
        return None


def is_due(name: NameState, moment: float) -> bool:
    """Whether the name may be asked: no question is under way, and its time has come."""
    lost = name.asked is not None and moment - name.asked >= DNS_LOST
    return moment >= name.next and (not name.pending or lost)


def asking(name: NameState, moment: float) -> NameState:
    """The name while a question is under way; there is never more than one."""
    return evolve(name, pending=True, asked=moment, queries=name.queries + 1)


def after_move(name: NameState, moment: float) -> NameState:
    """The name after our own network changed: asked again as soon as the floor allows, without the back-off."""
    return evolve(name, failures=0, next=moment if name.asked is None else max(moment, name.asked + DNS_FLOOR))


def heard_back(name: NameState, answer: Answer, moment: float, silent_for: float) -> NameState:
    """Take in an answer. ``silent_for``: how long its peer has been silent.

    A failure keeps the old addresses, and that of one IP version those of that version: silence is no news.
    """
    if not answer.addresses:
        wait = DNS_FLOOR * 2 ** min(name.failures, 6)
        kept = evolve(name, problem=answer.problem, failures=name.failures + 1)
    else:
        wait = max(DNS_FLOOR, min(answer.ttl, DNS_TTL_CAP))
        kept_ones = {address for address in name.addresses if address.version in answer.unanswered}
        addresses = kept_ones.union(answer.addresses)
        differs = bool(name.addresses) and addresses != name.addresses
        kept = evolve(
            name,
            addresses=frozenset(addresses),
            ttl=answer.ttl,
            answered=moment,
            changed=moment if differs else name.changed,
            replaced=name.answered if differs else name.replaced,
            problem="",
            failures=0,
        )
        seldom = name.early is None or moment - name.early >= DNS_EARLY
        if answer.ttl < DNS_FLOOR and addresses == name.addresses and seldom and silent_for <= DNS_EAGER:
            return evolve(kept, pending=False, early=moment, next=moment + max(1.0, answer.ttl))
    if silent_for > DNS_EAGER:
        wait = max(wait, silent_for / 4)
    return evolve(kept, pending=False, next=moment + min(wait, DNS_CEILING) * _jitter(answer.host, name.queries))


def _jitter(host: str, count: int) -> float:
    """1.0 to 1.1, the same for the same question: many nodes spread, and a test repeats."""
    return 1 + zlib.crc32(f"{host} {count}".encode()) % 1000 / 10_000
