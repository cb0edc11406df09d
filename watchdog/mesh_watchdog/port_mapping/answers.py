"""What a router answers to a request for a mapping, in any protocol; and which addresses are behind a NAT. Pure."""

from __future__ import annotations

import ipaddress
from enum import Enum

from attrs import frozen

from mesh_sync.wireguard.elsewhere import nowhere
from mesh_watchdog.policy.nat_class import is_inner

IPv4 = ipaddress.IPv4Address
_DS_LITE = ipaddress.IPv4Network("192.0.0.0/24")
"""Between a carrier's NAT and its customers, who have IPv6 (RFC 6333)."""


class Why(Enum):
    """Why there is no mapping; the values end the sentence "the router ..."."""

    SILENT = "answers neither PCP nor NAT-PMP"
    VERSION = "does not speak this version of the protocol"
    REFUSED = "refuses a port mapping"
    NO_ADDRESS = "has no address on the internet now"
    FULL = "has no room for another mapping"
    CARRIER = "is behind another NAT itself"


@frozen
class Granted:
    """Packets to the router's ``address`` and ``port`` come to us for ``lifetime`` seconds; with 0 they no longer do.

    ``epoch``: seconds since the router has known its mappings, None where the protocol does not say.
    """

    address: IPv4
    port: int
    lifetime: int
    epoch: int | None = None

    @property
    def endpoint(self) -> str:
        return f"{self.address}:{self.port}"


@frozen
class Refused:
    """``pause``: seconds for which the router says that asking again makes no difference."""

    why: Why
    pause: int = 0


Answer = Granted | Refused


def is_translated(address: IPv4) -> bool:
    """Whether a machine with this address is behind a NAT, or cannot be reached at all."""
    return is_inner(address) or address in _DS_LITE or bool(nowhere(address))
