"""What a host name stands for: which nameserver is asked when, and what their answers come to. Pure.

No nameserver decides alone that a name has no address, neither by saying so nor by failing or by its silence, while
another one may know better. The first that knows addresses of an IP version decides about that version.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from enum import Enum

from attrs import Factory, define, frozen

from mesh_sync.wireguard.endpoint import Address

VERSIONS = (4, 6)
STAGGER = 0.2
"""Seconds that a nameserver has before the next one is asked as well."""
PATIENCE: Mapping[int, float] = {4: 1.3, 6: 0.3}
"""Seconds one IP version is waited for once the other has addresses that this machine has a way to. Some resolvers
swallow AAAA; a question for A that was lost is sent again after a second (`dns_question.RETRY`).
"""
DOUBT = 0.5
"""Seconds in which the last nameserver asked may contradict one that knows no address."""


class Unresolved(Enum):
    """Why a name has no address."""

    NO_NAMESERVER = "no resolver is configured"
    NONE_USABLE = "no resolver of /etc/resolv.conf can be reached now, except through a peer that does not answer"
    NO_NAME = "the name does not exist"
    NO_ADDRESS = "it has no address"
    SILENCE = "the resolver does not answer"
    FAILURE = "the resolver fails"


@frozen
class Answer:
    """The addresses of ``host``, IPv4 before IPv6, for ``ttl`` seconds; without any, ``reason`` says why.

    ``unanswered``: the IP versions of which no nameserver said whether there are any. ``detail``: what failed.
    """

    host: str
    addresses: tuple[Address, ...] = ()
    ttl: float = 0.0
    reason: Unresolved | None = None
    detail: str = ""
    unanswered: frozenset[int] = frozenset()

    @property
    def problem(self) -> str:
        """The reason as a part of a sentence, empty when there is none."""
        text = self.reason.value if self.reason else ""
        return f"{text}: {self.detail}" if self.detail else text


@frozen
class Nameserver:
    """Where questions are sent; the address may have a scope (`fe80::1%eth0`). ``mark``: their firewall mark, or 0."""

    address: str
    port: int = 53
    mark: int = 0

    @property
    def ip(self) -> Address:
        """The address without its scope."""
        return ipaddress.ip_address(self.address.partition("%")[0])

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: a stub, which asks others itself."""
        return self.ip.is_loopback or self.ip.is_unspecified


@frozen
class Reply:
    """What one nameserver says of one IP version: addresses for ``ttl`` seconds, or why there are none.

    ``has_way``: whether this machine has a route to one of the addresses.
    """

    addresses: tuple[Address, ...] = ()
    ttl: float = 0.0
    reason: Unresolved | None = None
    detail: str = ""
    has_way: bool = True

    @property
    def denies(self) -> bool:
        """Whether it says that there are no addresses, rather than nothing usable."""
        return self.reason in (Unresolved.NO_NAME, Unresolved.NO_ADDRESS)


Query = tuple[int, int]
"""The number of a nameserver, and the IP version it is asked for."""


@define
class Race:
    """The look-up of one name at ``servers`` nameservers. Moments are seconds on a steady clock."""

    servers: int
    versions: tuple[int, ...] = VERSIONS
    replies: dict[Query, Reply] = Factory(dict)
    pending: set[Query] = Factory(set)
    asked: int = 0
    last_asked: float = 0.0
    found_at: float | None = None
    denied_at: float | None = None

    def due(self, moment: float) -> tuple[Query, ...]:
        """The queries to begin now: those to the next nameserver, when the ones before are slow or know nothing."""
        if self.asked == self.servers or (self.pending and moment < self.last_asked + STAGGER):
            return ()
        queries = tuple((self.asked, version) for version in self.versions if version not in self._found)
        self.pending |= set(queries)
        self.asked += 1
        self.last_asked = moment
        return queries

    def take(self, query: Query, reply: Reply, moment: float) -> None:
        """A nameserver has replied, or was given up."""
        self.pending.discard(query)
        self.replies[query] = reply
        if self.found_at is None and reply.addresses and reply.has_way:
            self.found_at = moment
        no_name = (
            reply.reason is Unresolved.NO_NAME and query[1] == 4
        )  # of AAAA some say so that only have A (RFC 4074)
        if self.denied_at is None and (no_name or self._denied.issuperset(self.versions)):
            self.denied_at = moment

    def is_over(self, moment: float) -> bool:
        """Whether nothing more is to be learned that is worth the wait."""
        found = self._found
        if len(found) == len(self.versions) or (self.asked == self.servers and not self.pending):
            return True
        if not found:
            return self.asked == self.servers and moment >= self._denial_stands
        return moment >= self._patience_ends or any(
            (server, version) in self.replies and self.replies[server, version].denies
            for server, _ in found.values()
            for version in self.versions
        )

    def wait(self, moment: float) -> float:
        """Seconds after which `due` or `is_over` may change without a reply."""
        moments = [self.last_asked + STAGGER] if self.asked < self.servers else []
        moments += [self._patience_ends, self._denial_stands]
        return min((one for one in moments if one > moment), default=float("inf")) - moment

    def answer(self, host: str) -> Answer:
        """What all replies come to."""
        found = [self.replies[query] for _, query in sorted(self._found.items())]
        unanswered = frozenset(self.versions) - self._found.keys() - self._denied
        if found:
            addresses = tuple(address for reply in found for address in reply.addresses)
            return Answer(host, addresses, max(1.0, min(reply.ttl for reply in found)), unanswered=unanswered)
        if any(reply.reason is Unresolved.NO_NAME for reply in self.replies.values()):
            return Answer(host, reason=Unresolved.NO_NAME)
        if not unanswered:
            return Answer(host, reason=Unresolved.NO_ADDRESS)
        failures = (reply for reply in self.replies.values() if reply.reason is Unresolved.FAILURE)
        worst = next(failures, Reply(reason=Unresolved.SILENCE))
        return Answer(host, reason=worst.reason, detail=worst.detail, unanswered=unanswered)

    @property
    def _denied(self) -> frozenset[int]:
        """The IP versions of which a nameserver says that the name has no addresses."""
        return frozenset(version for (_, version), reply in self.replies.items() if reply.denies)

    @property
    def _patience_ends(self) -> float:
        """When the IP versions without addresses have had their time."""
        missing = [PATIENCE[version] for version in self.versions if version not in self._found]
        return float("inf") if self.found_at is None else self.found_at + max(missing, default=0.0)

    @property
    def _denial_stands(self) -> float:
        """When it does, if there is one: each nameserver that was asked has had time to contradict it."""
        return float("inf") if self.denied_at is None else max(self.denied_at, self.last_asked) + DOUBT

    @property
    def _found(self) -> Mapping[int, Query]:
        """For each IP version that has addresses, the reply that counts: the first."""
        queries = dict[int, Query]()
        for (server, version), reply in self.replies.items():
            if reply.addresses:
                queries.setdefault(version, (server, version))
        return queries
