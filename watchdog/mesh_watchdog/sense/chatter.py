"""What watchdogs say to each other over the tunnel, in bytes: WireGuard counts it like the traffic of a user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mesh_sync.wireguard.protocol import data_size

_HEADERS = {4: 20 + 8, 6: 40 + 8}
"""Bytes of IP and UDP, by version."""


class Chatter:
    """Only grows. An estimate: what is lost on the way counts, and TCP does not."""

    def __init__(self) -> None:
        self._bytes = Counter[str]()

    def note(self, address: str, message: bytes) -> None:
        """A message to or from this mesh address, by UDP."""
        self.note_packet(address, _HEADERS[6 if ":" in address else 4] + len(message))

    def note_packet(self, address: str, size: int) -> None:
        """An IP packet of so many bytes to or from this mesh address."""
        self._bytes[f"{address}/{128 if ':' in address else 32}"] += data_size(size)

    def of(self, allowed_ips: Iterable[str]) -> int:
        """Bytes to and from the peer that has these."""
        return sum(self._bytes[network] for network in allowed_ips) if self._bytes else 0
