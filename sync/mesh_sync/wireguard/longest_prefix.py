"""The most specific network that an address lies in, as a router finds it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from mesh_sync.wireguard.endpoint import Address, Network

T = TypeVar("T")


class LongestPrefix(Generic[T]):
    """Networks, and what each stands for; of two alike the first counts. Fast with thousands of both."""

    def __init__(self, entries: Iterable[tuple[Network, T]] = ()) -> None:
        self._table: dict[tuple[int, int, int], tuple[Network, T]] = {}
        for network, what in entries:
            key = network.version, network.prefixlen, int(network.network_address)
            self._table.setdefault(key, (network, what))
        self._lengths = sorted({(version, length) for version, length, _ in self._table}, reverse=True)

    def find(self, address: Address) -> tuple[Network, T] | None:
        """The network and what it stands for; None when the address lies in none of them."""
        for version, length in self._lengths:
            if version == address.version:
                shift = address.max_prefixlen - length
                if hit := self._table.get((version, length, int(address) >> shift << shift)):
                    return hit
        return None
