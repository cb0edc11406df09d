"""What a host name stands for, as far as the nameservers told. Pure."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from mesh_sync.wireguard.endpoint import Address


class Unresolved(Enum):
    """Why a name has no address."""

    NO_NAMESERVER = "no resolver is configured"
    NONE_OUTSIDE = "every resolver of /etc/resolv.conf is inside the mesh"
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
